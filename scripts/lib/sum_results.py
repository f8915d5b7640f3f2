"""Sums JUnit reports up in one line: sum_results.py FOLDER STEP...

Each step's report is FOLDER/STEP.xml; a missing or unreadable one counts as one failed test.
Exits with 1 if anything failed.
"""

import os
import sys
import xml.etree.ElementTree as ElementTree


def count(report):
    """The numbers of passed, failed and skipped tests of one report."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"} or case.get("status") == "fail":
            failed += 1
        elif "skipped" in outcomes or case.get("status") in ("notrun", "disabled"):
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main(folder, steps):
    totals = [0, 0, 0]
    for step in steps:
        try:
            counts = count(os.path.join(folder, step + ".xml"))
        except (OSError, ElementTree.ParseError) as error:
            print(f"{step}: no report ({error})")
            counts = (0, 1, 0)
        print(f"{step}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
        totals = [total + more for total, more in zip(totals, counts)]
    print(f"{totals[0]} passed, {totals[1]} failed")
    return 0 if totals[1] == 0 and totals[0] > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
