# SPDX-License-Identifier: GPL-2.0
#
# "make help" lists the verbs. Each does its own set-up.

SHELL := /bin/bash -o pipefail
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

V ?=
Q := $(if $(V),,@)
export V T

# The kernel of the virtual machine: a Debian series, or a directory into which
# its image and headers packages were unpacked.
KERNEL ?= 6.12
VM_KERNEL = build/kernel/$(notdir $(patsubst %/,%,$(KERNEL)))

# The kernel for "make", "make install" and "make selftest": the running one.
# Where that is too old or has no headers, "make" takes the virtual machine's.
RUNNING := $(shell uname -r)
RUNNING_OK := $(and $(wildcard /lib/modules/$(RUNNING)/build/Makefile),$(shell \
	printf '6.12\n%s\n' '$(RUNNING)' | sort -VC && echo yes))
KDIR ?= $(if $(RUNNING_OK),/lib/modules/$(RUNNING)/build,$(CURDIR)/$(VM_KERNEL)/headers)
kernel_tag = $(subst /,_,$(patsubst /%,%,$(patsubst $(CURDIR)/build/%,%,$(1))))
KDIR_OUT = $(CURDIR)/build/modules-$(call kernel_tag,$(KDIR))
VM_OUT = $(CURDIR)/build/modules-vm-$(notdir $(VM_KERNEL))

PREFIX ?= /usr/local
DESTDIR ?=

CC ?= cc
CFLAGS ?= -O2
WARN := -Wall -Wextra -Werror
INC := -I include/uapi -I tools/libdevmem -I selftests
COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE= $(CFLAGS) $(WARN) $(INC) -MMD -MP

include scripts/user.mk

## building

all: modules tools ## modules and tools, for KDIR (the running kernel if it has headers)

modules: setup-build $(if $(findstring $(CURDIR)/$(VM_KERNEL),$(KDIR)),vm-kernel) ## netdev-devmem.ko and netdevsim-devmem.ko
	$(Q)scripts/build-modules $(KDIR) $(KDIR_OUT)

tools: setup-build ## libdevmem.a and ncdevmem, under build/tools
	$(Q)flock build/.user $(MAKE) -s user-tools

tests: setup-build ## the programs of selftests/, under build/selftests
	$(Q)flock build/.user $(MAKE) -s user-tests

gen: ## generated netlink code, again from its specification
	$(Q)scripts/gen

## running

demo: vm-ready ## 256 MiB from a plain sender into a process's dma-buf, in a virtual machine
	$(Q)selftests/vm/run --kernel $(VM_KERNEL) --modules $(VM_OUT) --demo

test: vm-ready ## every self-test, in a virtual machine; T="name name:case" for some
	$(Q)selftests/vm/run --kernel $(VM_KERNEL) --modules $(VM_OUT) --test

vm: setup-build setup-vm vm-kernel vm-qemu ## run CMD='...' in the virtual machine; a shell without CMD
	$(Q)scripts/build-modules $(VM_KERNEL)/headers $(VM_OUT) || \
		echo "# not everything was built: the guest has what was built before"
	$(Q)flock build/.user $(MAKE) -sk user-tools user-tests || \
		echo "# not everything was built: the guest has what was built before"
	$(Q)selftests/vm/run --kernel $(VM_KERNEL) --modules $(VM_OUT) $(if $(CMD),--command '$(subst ','\'',$(CMD))',--shell)

selftest: modules tools tests ## the self-tests on this machine: as root, loads the modules of KDIR
	$(Q)selftests/vm/run --modules $(KDIR_OUT) --here

lint: ## everything that can be checked without running it
	$(Q)scripts/lint

## installing, as root

install: modules tools ## modules for the running kernel, tools under PREFIX (/usr/local)
	$(Q)scripts/install $(KDIR_OUT) "$(DESTDIR)" "$(PREFIX)"

## cleaning

clean: ## remove what was built, keep what was downloaded
	$(Q)rm -rf build/modules-* build/tools build/selftests build/vm build/lint build/obj
distclean: ## remove build/ altogether
	$(Q)rm -rf build

help: ## this list
	@awk -F ':.*## |^## ' '/^## / { print "\n" $$2 ":" } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1 == "all" ? "" : $$1, $$2 }' Makefile
	@printf '\nvariables:\n'
	@printf '  %-15s %s\n' 'T="a b:case"' 'which self-tests, by file name without suffix, with an optional case' \
		"CMD='...'" 'what "make vm" runs' \
		'KDIR=DIR' 'kernel headers for make, install, selftest' \
		'KERNEL=SERIES' 'kernel of the virtual machine: 6.12, or a directory with one' \
		'V=1' 'show the commands'

# what the verbs stand on

vm-ready: setup-build setup-vm vm-kernel vm-qemu
	$(Q)scripts/build-modules $(VM_KERNEL)/headers $(VM_OUT)
	$(Q)flock build/.user $(MAKE) -s user-tools user-tests

setup-build:
	$(Q)scripts/setup build
	@mkdir -p build
setup-vm:
	$(Q)scripts/setup vm
vm-kernel: setup-vm
	$(Q)scripts/fetch-kernel $(KERNEL)
vm-qemu: setup-vm
	$(Q)scripts/fetch-qemu

user-tools: $(TOOLS)
user-tests: $(TESTS)

.PHONY: user-tools user-tests all modules tools tests gen demo test vm selftest lint install clean distclean help \
	vm-ready setup-build setup-vm vm-kernel vm-qemu
