"""JUnit XML and the summary for a pull request: right in form, whatever the names are."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from small_suite import right_at, run

from luthier.evaluate.ci.findings import CiFiles, Findings, Measured, of_evaluation, of_run, of_standings
from luthier.evaluate.ci.junit import junit
from luthier.evaluate.ci.markdown import escaped, markdown
from luthier.evaluate.config import GateConfig, GuardrailConfig
from luthier.evaluate.gate import Check, Verdict, decide
from luthier.evaluate.standings import standings
from luthier.stats.intervals import Estimate

# The usual schema: what Jenkins, GitLab and GitHub's reporters agree on.
XS = "http://www.w3.org/2001/XMLSchema"
COUNTS = "".join(f'<xs:attribute name="{name}" type="xs:nonNegativeInteger" use="required"/>'
                 for name in ("tests", "failures", "errors", "skipped"))  # fmt: skip
SCHEMA = f"""<xs:schema xmlns:xs="{XS}">
 <xs:complexType name="said" mixed="true"><xs:attribute name="message" type="xs:string"/>
  <xs:attribute name="type" type="xs:string"/></xs:complexType>
 <xs:element name="testsuites"><xs:complexType><xs:sequence>
  <xs:element name="testsuite" maxOccurs="unbounded"><xs:complexType><xs:sequence>
   <xs:element name="properties"><xs:complexType><xs:sequence>
    <xs:element name="property" maxOccurs="unbounded"><xs:complexType>
     <xs:attribute name="name" type="xs:string" use="required"/>
     <xs:attribute name="value" type="xs:string" use="required"/></xs:complexType></xs:element>
   </xs:sequence></xs:complexType></xs:element>
   <xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
    <xs:choice minOccurs="0"><xs:element name="skipped" type="said"/><xs:element name="failure" type="said"/>
     <xs:element name="error" type="said"/></xs:choice>
    <xs:element name="system-out" type="xs:string" minOccurs="0"/></xs:sequence>
    <xs:attribute name="classname" type="xs:string" use="required"/>
    <xs:attribute name="name" type="xs:string" use="required"/>
    <xs:attribute name="time" type="xs:decimal"/></xs:complexType></xs:element>
   </xs:sequence><xs:attribute name="name" type="xs:string" use="required"/>{COUNTS}
   <xs:attribute name="time" type="xs:decimal"/></xs:complexType></xs:element>
  </xs:sequence><xs:attribute name="name" type="xs:string"/>{COUNTS}<xs:attribute name="time" type="xs:decimal"/>
 </xs:complexType></xs:element></xs:schema>"""
VALID = etree.XMLSchema(etree.fromstring(SCHEMA))


def parsed(text):
    root = etree.fromstring(text.encode())
    VALID.assertValid(root)
    for node in [root, *root.iter("testsuite")]:
        cases = list(node.iter("testcase"))
        assert int(node.get("tests")) == len(cases)
        assert int(node.get("failures")) == sum(case.find("failure") is not None for case in cases)
        assert int(node.get("skipped")) == sum(case.find("skipped") is not None for case in cases)
    return root


def a_verdict(*outcomes):
    found = Estimate(0.1, 0.05, 0.15, 40, "paired")
    checks = tuple(Check(kpi=f"k{n}", role="guardrail" if n else "target", suite="held_out", bound=0.0, difference=found,
                         outcome=outcome, reason=f"because of {outcome}") for n, outcome in enumerate(outcomes))  # fmt: skip
    answer = "hold" if "fail" in outcomes else "not enough evidence" if "unsure" in outcomes else "ship"
    return Verdict(answer=answer, checks=checks, alpha=0.05)


def some(name="exact", verdict=None, **rest):
    measured = (Measured(suite=name, run=name, kpi=name, cells=(name,), is_known=True),)
    return Findings(title=name, verdict=verdict, columns=("mean",), measured=measured, command=name, **rest)


def test_a_case_for_every_check_and_kpi_with_failures_and_what_lacks_evidence_apart(tmp_path):
    verdict = a_verdict("pass", "fail", "unsure")
    unknown = Measured(suite="s", run="r", kpi="empty", cells=("-",), is_known=False)
    root = parsed(junit(replace(some(verdict=verdict), measured=(*some().measured, unknown))))
    assert [root.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["5", "1", "0", "2"]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["guardrail k1 on held_out"].find("failure").get("message") == "because of fail"
    assert cases["guardrail k2 on held_out"].find("skipped").get("message") == "not enough evidence: because of unsure"
    assert cases["target k0 on held_out"].findtext("system-out") == "because of pass"
    assert cases["empty"].find("skipped").get("message") == "no item could be graded"
    assert cases["exact"].findtext("system-out") == "mean exact"
    assert root.find(".//property[@name='verdict']").get("value") == "hold"


@settings(max_examples=150, deadline=None)
@given(name=st.text(min_size=1, max_size=12), other=st.text(max_size=12))
def test_any_text_makes_a_valid_file(name, other):
    findings = some(name, notes=(other,), slices=((name, other),))
    root = parsed(junit(findings))
    assert root.find(".//testcase") is not None
    lines = markdown(findings).split("\n")
    assert lines[0].startswith("## ") and all(line.count(" | ") == 0 for line in lines if not line.startswith("|"))


@pytest.mark.parametrize(
    "text",
    ["a|b", "`x`", "<b>x</b>", "[x](http://y.example)", "@someone", "#12", "owner/name#3", "GH-7", "www.example.org",
     "http://example.org", "line\none", "- item", "1. item", "# head", "*a* _b_ ~c~", "$x$", "&lt;", "a\\b", "0123456789abcdef",
     "[x]: http://y", "![x](y)", "\x00\x1b[31m", "+ plus"],
)  # fmt: skip
def test_a_name_is_never_markup_and_reads_as_it_was(text):
    said = escaped(text)
    assert not re.search(r"[`*_<>|\\\n]|\]\(|(?<![\u200b&])@\w|(?<!&)#|://|www\.|GH-\d|\b[0-9a-f]{7,40}\b|^[-+] |^\d+\. ", said)
    back = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), said).replace("\u200b", "")
    assert back == " ".join(text.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").split())


def test_numbers_stay_readable():
    assert escaped("[-0.126, +0.126]") == "[-0.126, +0.126]" and escaped("+0.300") == "+0.300" and escaped("-") == "-"


def test_a_command_cannot_leave_its_fence():
    text = markdown(some("```\n# out\n````"))
    fence = re.search(r"### How to do it again\n\n(`+)bash\n", text)[1]
    assert len(fence) == 5 and text.endswith(f"\n{fence}\n")


def test_the_summary_tells_verdict_kpis_slices_and_command(tmp_path):
    a, b = (run(tmp_path / name, right_at(rate, seed=name), model_name=name, graders=("auto", "exact"))
            for name, rate in (("old", 0.9), ("new", 0.2)))  # fmt: skip
    found = standings([a, b])
    verdict = decide([found.comparisons[0]], config=GateConfig(guardrails=(GuardrailConfig(kpi="exact"),)))
    assert verdict.answer == "hold"
    findings = of_standings(found, verdict=verdict, command="luthier compare old new")
    text = markdown(findings)
    assert "**Hold.**" in text and "| fail | target | auto | held&#95;out |" in text
    kpi = found.comparisons[0].kpis["auto"]
    assert f"| auto | {kpi.b:.3f} | {kpi.a:.3f} | {kpi.difference.value:+.3f} |" in text
    assert text.endswith("```bash\nluthier compare old new\n```\n")
    assert len(list(parsed(junit(findings)).iter("testcase"))) == 4
    of_a_run = of_run({"held_out": found.comparisons[0]}, verdict, title="Run x", folder=tmp_path, command="luthier run r")
    assert f"| auto | {kpi.b:.3f} | {kpi.a:.3f} |" in markdown(of_a_run)


def test_an_evaluation_is_told_with_its_weak_slices(tmp_path):
    evaluation = run(tmp_path / "e", right_at(0.5), graders=("auto",))
    (tmp_path / "e" / "errors").mkdir()
    weak = [{"name": "task = t|3", "fix": {"proposal": "add 4 rows"}}]
    (tmp_path / "e" / "errors" / "errors.json").write_text(json.dumps({"weak_slices": weak}))
    findings = of_evaluation(evaluation, command="luthier evaluate")
    CiFiles(junit=tmp_path / "ci" / "j.xml", markdown=tmp_path / "ci" / "m.md").write(findings)
    kpi = evaluation.kpis["auto"]
    text = (tmp_path / "ci" / "m.md").read_text()
    assert f"| auto | {kpi.value:.3f} |" in text and "| task = t&#124;3 | add 4 rows |" in text
    (case,) = parsed((tmp_path / "ci" / "j.xml").read_text()).iter("testcase")
    assert case.get("name") == "auto" and "n 60" in case.findtext("system-out")
