# SPDX-License-Identifier: GPL-2.0
#
# The user-space programs: tools/lib*/ become an archive, which everything here is linked
# with, and a shared library for others; tools/*/ and examples/ programs,
# selftests/*_test.c and selftests/fuzz/vm/*_fuzz.c one program each. selftests/bench/
# is a program for the guest, and a plugin for its emulator.

T_DIR := build/tools
S_DIR := build/selftests

LIB_OBJS := $(patsubst %.c,build/obj/%.o,$(wildcard tools/libdevmem/*.c))
PIC_OBJS := $(LIB_OBJS:build/obj/%=build/obj/pic/%)
LIB_VERSION := $(shell sed -n 's/^Version: //p' tools/libdevmem/libdevmem.pc.in)
LIB_SONAME := libdevmem.so.$(firstword $(subst ., ,$(LIB_VERSION)))
LIB_SO := $(T_DIR)/libdevmem.so.$(LIB_VERSION)
NC_OBJS := $(patsubst %.c,build/obj/%.o,$(wildcard tools/ncdevmem/*.c))
NIC_OBJS := $(patsubst %.c,build/obj/%.o,$(wildcard tools/devmem-nic/*.c))
# The stamp stands for the pages of libdevmem's calls.
MAN_STAMP := build/man/.made
MAN_SRCS := $(addprefix tools/libdevmem/,libdevmem.3 libdevmem.h libdevmem-nl.h libdevmem-rx.h)
EXAMPLES := $(patsubst examples/%.c,$(T_DIR)/examples/%,$(wildcard examples/*.c))
COMMON_OBJS := $(patsubst %.c,build/obj/%.o,$(wildcard selftests/common*.c))
TEST_BINS := $(patsubst selftests/%.c,$(S_DIR)/%,$(wildcard selftests/*_test.c))
FUZZ_SRCS := $(wildcard selftests/fuzz/vm/*_fuzz.c)
FUZZ_OBJS := $(patsubst %.c,build/obj/%.o,$(filter-out $(FUZZ_SRCS),$(wildcard selftests/fuzz/vm/*.c)))
FUZZ_BINS := $(patsubst selftests/fuzz/vm/%.c,$(S_DIR)/%,$(FUZZ_SRCS))
TEST_SCRIPTS := $(patsubst selftests/%,$(S_DIR)/%,$(wildcard selftests/*.sh))
TEST_LIBS := -lmnl -luring -lpthread
B_DIR := build/bench
COUNT_SRCS := selftests/bench/count.c selftests/bench/lines.c
BENCH_OBJS := $(patsubst %.c,build/obj/%.o,$(filter-out $(COUNT_SRCS),$(wildcard selftests/bench/*.c)))

TOOLS := $(if $(LIB_OBJS),$(T_DIR)/libdevmem.a $(LIB_SO)) $(if $(NC_OBJS),$(T_DIR)/ncdevmem) $(if $(NIC_OBJS),$(T_DIR)/devmem-nic) $(EXAMPLES) $(MAN_STAMP)
TESTS := $(TEST_BINS) $(FUZZ_BINS) $(TEST_SCRIPTS) $(S_DIR)/README.md
BENCH := $(B_DIR)/bench $(B_DIR)/count.so

build/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(PIC_OBJS): build/obj/pic/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -fPIC -c -o $@ $<

$(T_DIR)/libdevmem.a: $(LIB_OBJS)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Not executable: a guest gets what is.
$(LIB_SO): $(PIC_OBJS) tools/libdevmem/libdevmem.map tools/libdevmem/libdevmem.pc.in
	@mkdir -p $(@D)
	$(Q)rm -f $(T_DIR)/libdevmem.so.*
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(LIB_SONAME) \
		-Wl,--version-script=tools/libdevmem/libdevmem.map -o $@ $(PIC_OBJS) -lmnl -lpthread
	$(Q)chmod a-x $@

$(T_DIR)/ncdevmem: $(NC_OBJS) $(T_DIR)/libdevmem.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lmnl -lpthread

$(T_DIR)/devmem-nic: $(NIC_OBJS) $(T_DIR)/libdevmem.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lmnl -lpthread

$(MAN_STAMP): scripts/man-pages $(MAN_SRCS)
	$(Q)scripts/man-pages $(MAN_SRCS) $(@D)
	$(Q)touch $@

$(EXAMPLES): $(T_DIR)/examples/%: build/obj/examples/%.o $(T_DIR)/libdevmem.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lmnl -lpthread

$(TEST_BINS): $(S_DIR)/%: build/obj/selftests/%.o $(COMMON_OBJS) $(T_DIR)/libdevmem.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(FUZZ_BINS): $(S_DIR)/%: build/obj/selftests/fuzz/vm/%.o $(FUZZ_OBJS) $(COMMON_OBJS) $(T_DIR)/libdevmem.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(TEST_SCRIPTS): $(S_DIR)/%.sh: selftests/%.sh
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@

$(S_DIR)/README.md: README.md
	@mkdir -p $(@D)
	$(Q)install -m 644 $< $@

$(B_DIR)/bench: $(BENCH_OBJS) $(COMMON_OBJS) $(T_DIR)/libdevmem.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(B_DIR)/count.so: $(COUNT_SRCS) $(addprefix selftests/bench/,lines.h mark.h qemu-api.h)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE= $(CFLAGS) $(WARN) $(INC) -fPIC -fvisibility=hidden -shared -o $@ $(COUNT_SRCS)

-include $(BENCH_OBJS:.o=.d) $(LIB_OBJS:.o=.d) $(PIC_OBJS:.o=.d) $(NC_OBJS:.o=.d) $(NIC_OBJS:.o=.d) $(COMMON_OBJS:.o=.d) \
	$(patsubst $(T_DIR)/%,build/obj/%.d,$(EXAMPLES)) \
	$(patsubst $(S_DIR)/%,build/obj/selftests/%.d,$(TEST_BINS)) \
	$(FUZZ_OBJS:.o=.d) $(patsubst $(S_DIR)/%,build/obj/selftests/fuzz/vm/%.d,$(FUZZ_BINS))

.SECONDARY:
