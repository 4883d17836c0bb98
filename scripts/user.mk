# SPDX-License-Identifier: GPL-2.0
#
# The user-space programs: tools/lib*/ become archives, tools/*/ programs,
# selftests/*_test.c one program each.

T_DIR := build/tools
S_DIR := build/selftests

LIB_OBJS := $(patsubst %.c,build/obj/%.o,$(wildcard tools/libdevmem/*.c))
NC_OBJS := $(patsubst %.c,build/obj/%.o,$(wildcard tools/ncdevmem/*.c))
COMMON_OBJS := $(patsubst %.c,build/obj/%.o,$(wildcard selftests/common*.c))
TEST_BINS := $(patsubst selftests/%.c,$(S_DIR)/%,$(wildcard selftests/*_test.c))
TEST_SCRIPTS := $(patsubst selftests/%,$(S_DIR)/%,$(wildcard selftests/*.sh))

TOOLS := $(if $(LIB_OBJS),$(T_DIR)/libdevmem.a) $(if $(NC_OBJS),$(T_DIR)/ncdevmem)
TESTS := $(TEST_BINS) $(TEST_SCRIPTS)

build/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(T_DIR)/libdevmem.a: $(LIB_OBJS)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(T_DIR)/ncdevmem: $(NC_OBJS) $(T_DIR)/libdevmem.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lmnl -lpthread

$(TEST_BINS): $(S_DIR)/%: build/obj/selftests/%.o $(COMMON_OBJS) $(T_DIR)/libdevmem.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lmnl -lpthread

$(TEST_SCRIPTS): $(S_DIR)/%.sh: selftests/%.sh
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@

-include $(LIB_OBJS:.o=.d) $(NC_OBJS:.o=.d) $(COMMON_OBJS:.o=.d) \
	$(patsubst $(S_DIR)/%,build/obj/selftests/%.d,$(TEST_BINS))

.SECONDARY:
