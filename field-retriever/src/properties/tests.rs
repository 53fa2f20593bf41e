//! Lines that are parsed like in Java, and lines that are errors.

use super::*;

fn parse(text: &str) -> Properties {
    Properties::parse(Path::new("p.properties"), text.as_bytes()).unwrap()
}

fn pairs(properties: &Properties) -> Vec<(&str, &str, u32)> {
    properties.iter().map(|p| (p.key.as_str(), p.value.as_str(), p.line)).collect()
}

#[test]
fn lines_are_split_like_in_java() {
    for (text, key, value) in [
        ("a=b", "a", "b"),
        ("a:b", "a", "b"),
        ("a b", "a", "b"),
        ("a\tb c", "a", "b c"),
        ("  a  =  b  ", "a", "b  "),
        ("a = = b", "a", "= b"),
        ("a : b : c", "a", "b : c"),
        ("a  b=c", "a", "b=c"),
        ("a", "a", ""),
        ("a=", "a", ""),
        ("=b", "", "b"),
        (r"a\=b=c", "a=b", "c"),
        (r"a\ b\:c d", "a b:c", "d"),
        (r"a=\ b", "a", " b"),
        (r"a=b\\", "a", r"b\"),
        (r"path=C:\\dir\\file", "path", r"C:\dir\file"),
        (r"path=c:\dir\Q", "path", "c:dirQ"),
        (r"a=\t\n\r\f\\\#", "a", "\t\n\r\x0c\\#"),
        ("a=b # no comment", "a", "b # no comment"),
        ("\x0ca=b", "a", "b"),
        (r"a=\u0041\u00e9\u20AC", "a", "Aé€"),
        (r"a=\u00411", "a", "A1"),
        (r"a=\ud83d\ude00!", "a", "😀!"),
        (r"\u006bey=v", "key", "v"),
        (r"a=\\u0041", "a", r"\u0041"),
        ("ключ=значение", "ключ", "значение"),
        ("a=b\\", "a", "b"),
        (r"jdbc.url=jdbc\:h2\:mem;X=1", "jdbc.url", "jdbc:h2:mem;X=1"),
    ] {
        assert_eq!(pairs(&parse(text)), [(key, value, 1)], "{text}");
    }
}

#[test]
fn comments_blank_lines_and_line_ends() {
    for text in ["", "\n\n", "# a=b", "  ! a=b\\", "#\r\n!\r", "\\", "\\\n", " \t\x0c", "\u{feff}"] {
        assert_eq!(pairs(&parse(text)), [], "{text:?}");
    }
    for end in ["\n", "\r\n", "\r"] {
        let text = ["# one\\", "a=1", "", "  ! four", "b=2", "c 3"].join(end);
        assert_eq!(pairs(&parse(&text)), [("a", "1", 2), ("b", "2", 5), ("c", "3", 6)], "{end:?}");
    }
}

#[test]
fn fr_l11_a_comment_after_a_lone_backslash_is_a_comment() {
    for (text, expected) in [
        ("\\\n# c \\\nb=2", vec![("b", "2", 3)]),
        ("  \\\n  ! c\\\n\\\n#\\\na=1\nb=2", vec![("a", "1", 5), ("b", "2", 6)]),
        ("\\\n\n# c\\\nb=2", vec![("b", "2", 4)]),
        ("\\\nb=2", vec![("b", "2", 2)]),
        ("a=\\\n# no comment\\\nb=2\nc=3", vec![("a", "# no commentb=2", 1), ("c", "3", 4)]),
    ] {
        assert_eq!(pairs(&parse(text)), expected, "{text:?}");
    }
}

#[test]
fn lines_are_continued() {
    for (text, expected) in [
        ("a=b,\\\n    c,\\\r\n\td\ne=f", vec![("a", "b,c,d", 1), ("e", "f", 4)]),
        ("a\\\n  b = c", vec![("ab", "c", 1)]),
        ("a=b\\\n# c\nd=e", vec![("a", "b# c", 1), ("d", "e", 3)]),
        ("a=b\\\n\nd=e", vec![("a", "b", 1), ("d", "e", 3)]),
        ("a=b\\\\\nd=e", vec![("a", "b\\", 1), ("d", "e", 2)]),
        ("a=b\\\\\\\nd=e", vec![("a", "b\\d=e", 1)]),
        ("a=\\ud83d\\\n  \\ude00", vec![("a", "😀", 1)]),
        ("\\\n  a=b", vec![("a", "b", 2)]),
    ] {
        assert_eq!(pairs(&parse(text)), expected, "{text:?}");
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_latin_1() {
    let properties = Properties::parse(Path::new("p"), b"stra\xdfe=caf\xe9").unwrap();
    assert_eq!(pairs(&properties), [("straße", "café", 1)]);
    assert_eq!(pairs(&parse("\u{feff}a=b")), [("a", "b", 1)]);
}

#[test]
fn the_last_of_equal_keys_wins_with_a_warning() {
    let properties = parse("a=1\nb=2\n\na : 3\n\\u0061=4");
    assert_eq!(pairs(&properties), [("b", "2", 2), ("a", "4", 5)]);
    let warnings: Vec<String> = properties.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "property `a` (p.properties:1) is replaced by line 4",
            "property `a` (p.properties:4) is replaced by line 5"
        ]
    );
    let found = properties.find("a").unwrap();
    assert_eq!(found.value, "4");
    assert_eq!(found.origin.to_string(), "property `a` (p.properties:5)");
    assert_eq!(properties.find("A"), None);
}

#[test]
fn a_wrong_escape_is_an_error_with_its_line() {
    for (text, line, found) in [
        (r"a=\u12", 1, "12"),
        (r"a=\u", 1, ""),
        ("\n\na=\\uXYZ1", 3, "XYZ1"),
        ("a=b,\\\n  \\u00g0", 2, "00g0"),
        (r"a=\u+041", 1, "+041"),
        (r"a=\ud83d", 1, "d83d"),
        (r"a=\ud83dx", 1, "d83d"),
        (r"a=\ud83d\u0041", 1, "d83d"),
        (r"a=\ude00\ud83d", 1, "de00"),
        (r"a\uuuuu=", 1, "uuuu"),
        (r"dir=C:\users", 1, "sers"),
    ] {
        let error = Properties::parse(Path::new("p.properties"), text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("p.properties:{line}: `\\u{found}` is not a character"));
    }
}

#[test]
fn debug_output_hides_secrets() {
    let shown = format!("{:?}", parse("password=s3cret"));
    assert!(shown.contains("password") && !shown.contains("s3cret"), "{shown}");
}
