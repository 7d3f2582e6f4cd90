"""`python -m saltation_bss2`: makes a chip's file, or calibrates a chip, and saves the result."""

import argparse
import sys
from collections.abc import Sequence

import saltation as st


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    **Returns:** the exit status: 0, or 2 for an error that the message explains.
    """
    parser = argparse.ArgumentParser(
        prog="python -m saltation_bss2",
        description="Emulated BrainScaleS-2 chips and their calibrations, as files.",
        epilog=(
            "examples:\n  python -m saltation_bss2 chip 3 chip3.npz\n"
            "  python -m saltation_bss2 calibrate 3 chip3-calibration.npz\n"
            "  saltation train bss2/yinyang-w --backend bss2-emulator --backend-option chip=3 \\\n"
            "      --backend-option calibration=chip3-calibration.npz"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chip = commands.add_parser("chip", help="save the fixed pattern of a chip")
    calibrate = commands.add_parser("calibrate", help="measure the circuits of a chip, and save corrections")
    for command in (chip, calibrate):
        command.add_argument("chip", metavar="CHIP", help="its seed, or its file")
        command.add_argument("out", metavar="FILE", help="where to write, such as chip3.npz")
    calibrate.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default: 0)")
    calibrate.add_argument("--tau-mem", type=float, default=12.0, metavar="US", help="in microseconds (default: 12)")
    calibrate.add_argument("--tau-syn", type=float, default=6.0, metavar="US", help="in microseconds (default: 6)")
    given = parser.parse_args(argv)
    try:
        return _run(given)
    except (st.SaltationError, ValueError) as error:
        print(f"saltation_bss2: error: {error}", file=sys.stderr)
        return 2


def _run(given: argparse.Namespace) -> int:
    import jax

    from ._calibrate import calibrate
    from ._chip import Chip

    chip = Chip(int(given.chip)) if given.chip.isdigit() else Chip.load(given.chip)
    if given.command == "chip":
        chip.save(given.out)
    else:
        key = jax.random.key(given.seed)
        calibrate(chip, key=key, tau_mem=given.tau_mem, tau_syn=given.tau_syn).save(given.out)
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
