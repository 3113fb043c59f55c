"""Runs the tests of this folder, and ends with a line of its own that counts them."""

import pathlib
import sys
import unittest


def main():
    folder = pathlib.Path(__file__).parent
    suite = unittest.defaultTestLoader.discover(str(folder), top_level_dir=str(folder))
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stderr).run(suite)
    failed = {test.id() for test, _ in result.failures + result.errors}
    # A skip of a class or of a part of a test is one skip.
    skipped = [reason for _, reason in result.skipped if reason != "abstract"]
    passed = result.testsRun - len(result.failures) - len(result.errors) - len(result.skipped)
    for reason in sorted(set(skipped)):
        print(f"==> skipped ({skipped.count(reason)}): {reason}", file=sys.stderr)
    line = f"{max(passed, 0)} passed, {len(failed)} failed"
    print(line + (f", {len(skipped)} skipped" if skipped else ""))
    return 0 if passed > 0 and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
