"""JUnit XML: one test case for each check of the gate and for each KPI, in the form that CI systems share.

A check that fails is a failure. What has not enough evidence is skipped, with what is missing as its message: a check
that could come out either way, a KPI that no item could be graded on.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from luthier.evaluate.ci.findings import NOTHING, Findings
from luthier.evaluate.gate import Check
from luthier.records.whole_files import write_text_whole
from luthier.reports.page import UNPRINTABLE

Element = ElementTree.Element


def write_junit(path: Path, findings: Findings) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, junit(findings))


def junit(findings: Findings) -> str:
    """The XML document. Characters that XML cannot hold become U+FFFD."""
    suites = []
    if findings.verdict is not None:
        suites.append(_suite("gate", [_check(check) for check in findings.verdict.checks], findings))
    measured = []
    many = len({(one.suite, one.kpi) for one in findings.measured}) < len(findings.measured)
    for one in findings.measured:
        name = f"{one.kpi}: {one.run}" if many else one.kpi
        case = _case(f"kpi.{one.suite}", name)
        if one.is_known:
            ElementTree.SubElement(case, "system-out").text = _text(one.sentence(findings.columns))
        else:
            ElementTree.SubElement(case, "skipped", message=_text(NOTHING))
        measured.append(case)
    suites.append(_suite("kpis", measured, findings))
    root = Element("testsuites", name=_text(findings.title))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.set("time", "0")
    root.extend(suites)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(name: str, cases: list[Element], findings: Findings) -> Element:
    suite = Element("testsuite", name=f"luthier.{name}", tests=str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("time", "0")
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"title": findings.title, "command": findings.command}
    if name == "gate" and findings.verdict is not None:
        facts["verdict"] = findings.verdict.answer
    for key, value in facts.items():
        ElementTree.SubElement(properties, "property", name=key, value=_text(value))
    suite.extend(cases)
    return suite


def _check(check: Check) -> Element:
    case = _case("gate", f"{check.role} {check.kpi} on {check.suite}")
    if check.outcome == "fail":
        ElementTree.SubElement(case, "failure", message=_text(check.reason), type="hold").text = _text(check.reason)
    elif check.outcome == "unsure":
        ElementTree.SubElement(case, "skipped", message=_text(f"not enough evidence: {check.reason}"))
    else:
        ElementTree.SubElement(case, "system-out").text = _text(check.reason)
    return case


def _case(group: str, name: str) -> Element:
    return Element("testcase", classname=_text(f"luthier.{group}"), name=_text(name), time="0")


def _text(text: str) -> str:
    return UNPRINTABLE.sub("\ufffd", text)
