# SPDX-License-Identifier: GPL-2.0
"""Does the runner see what it is there to see? Runs files that fail, each in
its own way, and compares what the runner made of them."""

import glob
import os

import guest
import stage

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 15

# What each file under selfcheck/ must come to: the text of its one failing
# case, or None.
EXPECTED = {
    "a_pass_test": None,
    "b_fail_test": "fails",
    "c_silent_test": "runs a case (exit status 0)",
    "d_short_test": "runs the 2 cases it planned, ran 1",
    "e_log_test": "kernel log clean",
    "f_status_test": "exits with 0, not 139",
    "g_objects_test": "no live objects",
    "h_leak_test": "modules unload",
    "i_hang_test": f"finishes within {TIMEOUT} s",
    "j_panic_test": "the guest died",
    "k_their_race_test": None,
    "l_our_race_test": "kernel log clean",
    "m_mixed_race_test": "kernel log clean",
}

# The stock kernel's netem stands in for our modules: a queueing discipline
# keeps it busy. It has no objects when it is loaded.
PREPARE = """\
export MODULES=sch_netem OBJECTS=/run/objects SETTLE=3 PATH=/run/bin:$PATH
mkdir -p $OBJECTS/sch_netem /run/bin
cat > /run/bin/modprobe <<-'EOF'
	#!/bin/sh
	echo "binding 0" > $OBJECTS/sch_netem/objects
	exec /sbin/modprobe "$@"
EOF
chmod +x /run/bin/modprobe
"""

# Register dumps, and whether they prove that the emulator is to blame.
DUMPS = {
    "a breakpoint that is not there": (True, """\
        Oops: int3: 0000 [#1] PREEMPT SMP NOPTI
        RIP: 0010:dev_queue_xmit_nit+0x28/0x2a0
        Code: 41 54 55 53 48 83 ec 10 eb <7d> 65 48 8b 04 25"""),
    "a breakpoint that is there": (False, """\
        Oops: int3: 0000 [#1] PREEMPT SMP NOPTI
        RIP: 0010:dev_queue_xmit_nit+0x28/0x2a0
        Code: 41 54 55 53 48 83 ec 10 cc <7d> 65 48 8b 04 25"""),
    "one in a module": (False, """\
        Oops: int3: 0000 [#1] PREEMPT SMP NOPTI
        RIP: 0010:devmem_recvmsg+0x28/0x2a0 [netdev_devmem]
        Code: 41 54 55 53 48 83 ec 10 eb <7d> 65 48 8b 04 25"""),
    "another death": (False, """\
        Oops: general protection fault: 0000 [#1] PREEMPT SMP NOPTI
        RIP: 0010:dev_queue_xmit_nit+0x28/0x2a0
        Code: 41 54 55 53 48 83 ec 10 eb <7d> 65 48 8b 04 25"""),
}


def fixtures():
    return sorted(glob.glob(os.path.join(HERE, "selfcheck", "*.sh")))


def judge(seen, all_confined, stream):
    """Adds one case per fixture to the report, from the files in `seen`, and more."""
    by_name = {f.name: f for f in seen}
    stream.start("runner_selfcheck")

    def case(good, text):
        stream.current.case("pass" if good else "fail", f"runner_selfcheck: {text}")
        stream.flush_cases()

    for name, text in EXPECTED.items():
        result = by_name.get(name)
        failed = [] if result is None else [t for w, t in result.cases if w == "fail"]
        wanted = [] if text is None else [f"{name}: {text}"]
        good = result is not None and failed == wanted
        if not good:
            stream.show(f"    # wanted {wanted}, got {'nothing' if result is None else failed}")
        case(good, f"{name} {'passes' if text is None else f'is failed with {text!r}'}")
    case(all_confined, "guests have no privileges on this machine")
    for name, (proof, dump) in DUMPS.items():
        verdict = "proves" if proof else "does not prove"
        case(proof == bool(guest.emulator_fault(dump.splitlines())),
             f"{name} {verdict} a fault of the emulator")
    for text, good in stage.played(DUMPS["a breakpoint that is not there"][1]):
        case(good, text)
    stream.finish()
