"""What is personal data in a text, what only looks like it, and where it stands."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.privacy import KINDS, Found, find

FOUND = [
    ("email", "Write to ann.smith@example.org.", "ann.smith@example.org"),
    ("email", "mailto:J.O'Neil+news@mail.uni.edu.cn,", "J.O'Neil+news@mail.uni.edu.cn"),
    ("email", "请发邮件到zhang@example.com谢谢", "zhang@example.com"),
    ("email", "jürgen@müller.de", "jürgen@müller.de"),
    ("phone", "Ring (415) 555-2671 today", "(415) 555-2671"),
    ("phone", "It is 202-456-1111.", "202-456-1111"),
    ("phone", "Office +49 30 901820, room 3", "+49 30 901820"),
    ("phone", "+44 (0)20 7946 0958", "+44 (0)20 7946 0958"),
    ("phone", "0033 1 42 68 53 00", "0033 1 42 68 53 00"),
    ("phone", "Please call 01223302010 to book", "01223302010"),
    ("phone", "his home phone is 555-3476", "555-3476"),
    ("phone", "dial 415-555-2671 ext. 12 now", "415-555-2671 ext. 12"),
    ("phone", "Tel. (201) 539-2622 2016", "(201) 539-2622"),
    ("phone", "电话13800138000。", "13800138000"),
    ("phone", "call ０１２２３ ３０２０１０", "０１２２３ ３０２０１０"),
    ("ip", "The request came from 88.12.44.7.", "88.12.44.7"),
    ("ip", "ssh 10.20.30.44:22", "10.20.30.44"),
    ("ip", "ping 2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334"),
    ("iban", "IBAN GB82 WEST 1234 5698 7654 32 please", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "Konto DE89370400440532013000, danke", "DE89370400440532013000"),
    ("iban", "iban nl91abna0417164300", "nl91abna0417164300"),
    ("card", "Visa 4111 1111 1111 1111, CVC 123", "4111 1111 1111 1111"),
    ("card", "4111-1111-1111-1111 12/29", "4111-1111-1111-1111"),
    ("card", "378282246310005", "378282246310005"),
    ("card", "3782 822463 10005", "3782 822463 10005"),
    ("login", "ftp://bob:s3cr3t!@host.example/x", "bob:s3cr3t!"),
    ("login", "postgresql://app:p%40ss@localhost/db", "app:p%40ss"),
    ("secret", "password: hunter2, keep it", "hunter2"),
    ("secret", "My password is Winter2024!", "Winter2024!"),
    ("secret", "Passwort: MyP@ssw0rd", "MyP@ssw0rd"),
    ("secret", 'dbPassword = "correct horse battery"', "correct horse battery"),
    ("secret", "export API_KEY=9f8e7d6c5b4a39281706", "9f8e7d6c5b4a39281706"),
    ("secret", "key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("secret", "use ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123456789abcdefghijABCDEFGHIJ012345"),
    ("secret", "sk-proj-abcDEF0123456789abcDEF0123", "sk-proj-abcDEF0123456789abcDEF0123"),
    ("secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlMTIz", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlMTIz"),
    ("secret", "Authorization: Bearer abcdef1234567890abcd", "abcdef1234567890abcd"),
    ("secret", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\nend",
     "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----"),
    ("secret", "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF and cut off",
     "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF"),
]  # fmt: skip

NOT_FOUND = [
    "git clone git@github.com:owner/name.git",
    "icon@2x.png and uses: actions/checkout@v3, NDCG@10, @handle, it@",
    "https://user:password@host.example/path",
    "between 1990-1995 and 2000 - 2005, on 2024-01-15 10:11:12",
    "He paid 3000/1500 = <<3000/1500=2>>2, then 10800-5200 and 125000/1.25",
    "3.1415926535897932 and 0.342 -96.055 29.975, [65.798 20.982 81.462 52.509 70.92]",
    "Boeing 727-200, MD-80, Boeing 737-200/300",
    "change the oil every 50000-100000 miles",
    "UUID 9249f0b2-8572-4bd0-8424-04070a9c3aff",
    "the product is 5337834320 + 148232",
    "version 10.2.3.44, section 4.1.2.3, release 0.11.0.1",
    "127.0.0.1, 0.0.0.0, 255.255.255.0, 192.168.0.1, 34.64.0.0/10, 8.8.8.8, 1.2.3.4.5, 300.1.1.1",
    "std::vector<int> a::b, x[1::2], 12:30:45, ::1, fe80::1",
    "DE89 3704 0044 0532 0130 01 fails its checksum",
    "4111 1111 1111 1112 fails its checksum; 0000 0000 0000 0000",
    "1600000000000 milliseconds",
    "57435322K->57435609K(57435648K)",
    "000-12-3456, 666-12-3456, 123-00-4567, 123-45-0000",
    "password: string, password=your_password, api_key='YOUR_API_KEY', token = response['token'], secret: It is simple",
    "password='my_secret_password', password = getpass(), PASSWORD=${DB_PASSWORD}, password: ********, os.environ['API_KEY'], pwd: <password>",
    "A task-oriented-approach to disk-based-storage-systems-and-more",
    "[EMAIL_1] [PHONE_12] password: [SECRET_1] https://[LOGIN_1]@host.example",
    "",
]


@pytest.mark.parametrize(("kind", "text", "piece"), FOUND)
def test_personal_data_is_found_whole_and_no_further(kind, text, piece):
    (found,) = find(text)
    assert (found.kind, found.text, text[found.start : found.end]) == (kind, piece, piece)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_personal_data_stays(text):
    assert find(text) == []


def test_every_kind_has_an_example():
    assert {kind for kind, _, _ in FOUND} == set(KINDS) - {"national_id"}, "those have a file of their own"


def test_a_kind_that_is_not_asked_for_is_not_found():
    text = "ann@example.org or 202-456-1111"
    assert [one.kind for one in find(text)] == ["email", "phone"]
    assert [one.kind for one in find(text, kinds=("phone",))] == ["phone"]


def test_national_numbers_are_read_by_the_plans_of_the_regions_that_are_named():
    text = "Tel. 044 668 18 00"
    assert find(text, regions=("CH",))[0].value == "+41446681800"
    assert find(text, regions=("US",)) == []


def test_the_stronger_kind_wins_where_two_overlap():
    assert [one.kind for one in find("password: ann@example.org7")] == ["secret"]
    assert [one.kind for one in find("IBAN NL91 ABNA 0417 1643 00")] == ["iban"]


def test_spellings_of_one_number_have_one_value():
    phones = find("+1 415 555 2671, (415) 555-2671, 415.555.2671, 1-415-555-2671")
    assert len(phones) == 4 and {one.value for one in phones} == {"+14155552671"}
    ibans = find("GB82 WEST 1234 5698 7654 32 = GB82WEST12345698765432")
    assert [one.value for one in ibans] == ["GB82WEST12345698765432"] * 2


@pytest.mark.parametrize("filler", ["1 ", "a@", "a.", "x1(", "(1) ", "+1 ", "://a:", "1::", "password=", "12-"])
def test_a_long_text_of_half_matches_is_read_in_one_go(filler):
    """Patterns that try again from every place would need hours for these."""
    assert {one.kind for one in find(filler * (100_000 // len(filler)))} <= {"secret"}


def test_many_findings_are_sorted_out_in_one_go():
    found = find("eyJaaaaaaaaa." * 10_000)
    assert len(found) > 1_000 and all(one.kind == "secret" for one in found)


pieces = st.one_of(
    st.sampled_from([text for _, text, _ in FOUND] + NOT_FOUND),
    st.text(max_size=12),
    st.sampled_from("😀𝒳\u0301١ \n:=+("),
)


@given(st.lists(pieces, max_size=6).map("".join))
@settings(max_examples=150)
def test_offsets_are_true_in_order_and_without_overlaps(text):
    end = 0
    for found in find(text):
        assert isinstance(found, Found) and found.kind in KINDS
        assert end <= found.start < found.end and text[found.start : found.end] == found.text
        end = found.end


@pytest.mark.parametrize("text", ["ann@example.org", "Call 202-456-1111", "GB82 WEST 1234 5698 7654 32"])
def test_characters_beyond_the_basic_plane_shift_nothing(text):
    (alone,) = find(text)
    (found,) = find(f"😀𝒳 {text} 😀")
    assert (found.start, found.end, found.text) == (alone.start + 3, alone.end + 3, alone.text)


def test_nothing_heavy_is_loaded_before_a_number_is_seen():
    code = (
        "import sys; import luthier.cli, luthier.privacy as p, luthier.languages\n"
        "assert p.find('Nothing to see in 1999.') == []\n"
        "heavy = {'phonenumbers', 'stdnum', 'py3langid', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
