# SPDX-License-Identifier: GPL-2.0
#
# "make help" lists the verbs. Each does its own set-up.

SHELL := /bin/bash -o pipefail
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

V ?=
Q := $(if $(V),,@)
export V T N SEED FROM

# The kernel of the virtual machine: a Debian series (scripts/fetch-kernel says
# which there are), or a directory into which its image and headers packages were
# unpacked.
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
UML = $(CURDIR)/build/kernel/uml-6.12

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
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

tools: setup-build ## libdevmem with its man pages, ncdevmem and devmem-nic, under build
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

fuzz: vm-ready ## the running modules, at random, in a virtual machine; T="wire", N=, SEED=, FROM=
	$(Q)selftests/vm/run --kernel $(VM_KERNEL) --modules $(VM_OUT) --fuzz

bench: vm-ready ## what receiving a byte costs, in instructions, by contender; T="sizes flows:net/devmem" for some parts, or rows of them
	$(Q)flock build/.user $(MAKE) -s user-bench
	$(Q)scripts/setup bench
	$(Q)selftests/vm/run --kernel $(VM_KERNEL) --modules $(VM_OUT) --bench
	$(Q)selftests/vm/bench_plot.py build/bench/results.json build/bench/results.svg

test-mainline: vm-ready ## the kernel's own devmem client and driver tests, on our NIC; T="name" for some
	$(Q)scripts/setup mainline
	$(Q)scripts/fetch-mainline $(notdir $(VM_KERNEL))
	$(Q)selftests/vm/run --kernel $(VM_KERNEL) --modules $(VM_OUT) --mainline build/mainline/$(notdir $(VM_KERNEL))

test-debug: uml-kernel ## the self-tests in User Mode Linux with sanitizers, without root; T="name" for some
	$(Q)scripts/build-modules $(UML)/headers $(CURDIR)/build/modules-uml-6.12
	$(Q)SLOW=$(or $(SLOW),6) selftests/vm/run --kernel $(UML) --modules build/modules-uml-6.12 --test

coverage: uml-kernel ## which lines and branches of the modules test-debug runs; build/coverage/index.html
	$(Q)scripts/setup coverage
	$(Q)scripts/build-modules $(UML)/headers $(CURDIR)/build/modules-coverage GCOV_PROFILE=y
	$(Q)rm -rf build/gcov
	$(Q)COVERAGE=build/gcov SLOW=$(or $(SLOW),6) selftests/vm/run --kernel $(UML) --modules build/modules-coverage --test; \
		status=$$?; scripts/coverage build/modules-coverage build/gcov && exit $$status

test-smp: tests-on-smp $(if $(T),,test-races) ## the self-tests on a debug kernel with two CPUs, stress for 10 minutes; then test-races
tests-on-smp: export SLOW := $(or $(SLOW),6)
tests-on-smp: export STRESS := $(or $(STRESS),600)

test-races: tests-on-kcsan ## on a kernel that looks for data races: what runs at the same time
tests-on-kcsan: export SLOW := $(or $(SLOW),6)
tests-on-kcsan: export STRESS := $(or $(STRESS),60)
tests-on-kcsan: export T := $(or $(T),attach churn claim close many poll race recv share stress token)

tests-on-%: setup-build setup-vm vm-qemu
	$(Q)scripts/setup smp
	$(Q)scripts/build-kernel $* 6.12
	$(Q)scripts/build-modules $(CURDIR)/build/kernel/$*-6.12/headers $(CURDIR)/build/modules-$*-6.12
	$(Q)flock build/.user $(MAKE) -s user-tools user-tests
	$(Q)selftests/vm/run --kernel build/kernel/$*-6.12 --modules build/modules-$*-6.12 --test

vm: setup-build setup-vm vm-kernel vm-qemu ## run CMD='...' in the virtual machine; a shell without CMD
	$(Q)scripts/build-modules $(VM_KERNEL)/headers $(VM_OUT) || \
		echo "# not everything was built: the guest has what was built before"
	$(Q)flock build/.user $(MAKE) -sk user-tools user-tests || \
		echo "# not everything was built: the guest has what was built before"
	$(Q)selftests/vm/run --kernel $(VM_KERNEL) --modules $(VM_OUT) $(if $(CMD),--command '$(subst ','\'',$(CMD))',--shell)

selftest: modules tools tests ## the self-tests on this machine: as root, loads the modules of KDIR
	$(Q)selftests/vm/run --modules $(KDIR_OUT) --here

fuzz-user: ## the pure parts in user space against models of them; N=inputs for each, 0: the kept ones; T="name" for some
	$(Q)scripts/fuzz-user

matrix: ## the self-tests on each kernel that is supported, and a table of them; KERNELS="6.12 7" for some
	$(Q)scripts/matrix $(KERNELS)

lint: ## everything that can be checked without running it
	$(Q)scripts/lint

## installing, as root

install: modules tools ## modules for the running kernel, tools under PREFIX (/usr/local)
	$(Q)scripts/install $(KDIR_OUT) "$(DESTDIR)" "$(PREFIX)" "$(LIBDIR)"

install-tools: tools ## the tools alone; LIBDIR= for the library (PREFIX/lib), DESTDIR= for packages
	$(Q)scripts/install "" "$(DESTDIR)" "$(PREFIX)" "$(LIBDIR)"

## cleaning

clean: ## remove what was built, keep what was downloaded
	$(Q)rm -rf build/modules-* build/tools build/man build/selftests build/bench build/vm build/lint build/obj build/fuzz
distclean: ## remove build/ altogether
	$(Q)rm -rf build

help: ## this list
	@awk -F ':.*## |^## ' '/^## / { print "\n" $$2 ":" } \
		/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1 == "all" ? "" : $$1, $$2 }' Makefile
	@printf '\nvariables:\n'
	@printf '  %-15s %s\n' 'T="a b:case"' 'which self-tests, by file name without suffix, with an optional case' \
		'T="a b:text"' 'make bench: which parts, of b only rows with this text' \
		"CMD='...'" 'what "make vm" runs' \
		'KDIR=DIR' 'kernel headers for make, install, selftest' \
		'KERNEL=SERIES' 'kernel of the virtual machine: 6.12 (default); 6.12-deb13: of Debian 13;' \
		'' '7.3 or 7: newest 7.3.x or 7.x of its backports; or a directory with one' \
		'JOBS=NUMBER' 'how many virtual machines run self-tests at a time: one for each CPU' \
		'PROFILE=1' 'make bench: functions, too' \
		'STRESS=SECONDS' 'how long the stress test runs; SEED=NUMBER to have it do the same again' \
		'V=1' 'show the commands'

# what the verbs stand on

vm-ready: setup-build setup-vm vm-kernel vm-qemu
	$(Q)scripts/build-modules $(VM_KERNEL)/headers $(VM_OUT)
	$(Q)flock build/.user $(MAKE) -s user-tools user-tests

uml-kernel: setup-build
	$(Q)scripts/setup debug
	$(Q)scripts/build-kernel uml 6.12
	$(Q)flock build/.user $(MAKE) -s user-tools user-tests

setup-build:
	$(Q)scripts/setup build
	@umask a+rx; mkdir -p build
setup-vm:
	$(Q)scripts/setup vm
vm-kernel: setup-vm
	$(Q)scripts/fetch-kernel $(KERNEL)
vm-qemu: setup-vm
	$(Q)scripts/fetch-qemu

user-tools: $(TOOLS)
user-tests: $(TESTS)
user-bench: $(BENCH)

.PHONY: user-tools user-tests user-bench bench all modules tools tests gen demo test test-mainline test-debug coverage test-smp test-races \
	vm selftest matrix fuzz fuzz-user lint install install-tools clean distclean help vm-ready uml-kernel setup-build setup-vm vm-kernel vm-qemu
