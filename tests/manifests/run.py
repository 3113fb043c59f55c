"""Runs the tests of this folder, or of the one that is named, and ends with a line of its own that counts them."""

import pathlib
import sys
import unittest


def whole(test):
    """The test of a part of one, which alone is counted."""
    return getattr(test, "test_case", test).id()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    folder = folder if folder.is_dir() else folder.parent
    suite = unittest.defaultTestLoader.discover(str(folder), top_level_dir=str(folder))
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stderr).run(suite)
    failed = {whole(test) for test, _ in result.failures + result.errors}
    reasons = {whole(test): reason for test, reason in result.skipped if reason != "abstract"}
    skipped = [reason for test, reason in reasons.items() if test not in failed]
    # What a class could not set up counts as one, and none of its tests was run.
    unrun = {
        whole(test) for test, _ in result.errors + result.skipped if not isinstance(test, unittest.TestCase)
    }
    passed = (
        result.testsRun - len(failed - unrun) - len([test for test in reasons if test not in failed | unrun])
    )
    for reason in sorted(set(skipped)):
        print(f"==> skipped ({skipped.count(reason)}): {reason}", file=sys.stderr)
    line = f"{max(passed, 0)} passed, {len(failed)} failed"
    print(line + (f", {len(skipped)} skipped" if skipped else ""))
    return 0 if passed > 0 and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
