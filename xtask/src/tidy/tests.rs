use super::{File, RULES, Report, Tree, check, items, layers, load, modules, unsafety, words};
use crate::cmd;

/// What one rule says about one file.
fn found(rule: fn(&Tree, &mut Report), path: &str, text: &str) -> Vec<usize> {
    let tree = Tree { files: vec![File::new(path, text.to_owned())] };
    let mut report = Report::default();
    rule(&tree, &mut report);
    report.problems.iter().filter(|p| p.path == path).map(|p| p.line).collect()
}

#[track_caller]
fn assert_found(rule: fn(&Tree, &mut Report), path: &str, text: &str, lines: &[usize]) {
    assert_eq!(found(rule, path, text), lines);
}

#[test]
fn the_repository_is_tidy() {
    let tree = load(&cmd::root()).expect("the repository's files can be read");
    assert!(tree.files.len() > 20, "only {} files found", tree.files.len());
    let problems = check(&tree);
    assert!(problems.is_empty(), "run `cargo xtask tidy`: {problems:#?}");
}

#[test]
fn no_rule_is_listed_twice() {
    for (i, rule) in RULES.iter().enumerate() {
        assert!(!RULES[..i].iter().any(|r| std::ptr::fn_addr_eq(*r, *rule)), "rule {i}");
    }
}

#[test]
fn an_edge_upwards_is_found() {
    let text = "[dependencies]\ngopark-sys.workspace = true\ngopark-sched.workspace = true\n";
    assert_found(layers::edges, "crates/poll/Cargo.toml", text, &[3]);
    assert_found(layers::edges, "crates/net/Cargo.toml", text, &[]);
}

#[test]
fn the_operating_system_stays_in_sys() {
    let text = "[dependencies]\nlibc.workspace = true\n[dev-dependencies]\nmio = \"1\"\n";
    assert_found(layers::outside_crates, "crates/sched/Cargo.toml", text, &[2]);
    assert_found(layers::outside_crates, "crates/sys/Cargo.toml", text, &[]);
}

#[test]
fn a_file_nobody_includes_is_found() {
    let manifest = File::new("crates/a/Cargo.toml", String::new());
    let root = File::new("crates/a/src/lib.rs", "mod b;\n#[path = \"elsewhere.rs\"]\nmod c;\n".to_owned());
    let file = |path: &str| File::new(path, String::new());
    let files = vec![
        manifest,
        root,
        File::new("crates/a/src/b.rs", "mod inner;\n".to_owned()),
        file("crates/a/src/b/inner.rs"),
        file("crates/a/src/elsewhere.rs"),
        file("crates/a/src/dead.rs"),
        file("crates/a/tests/public.rs"),
    ];
    let mut report = Report::default();
    modules::every_file_is_reachable(&Tree { files }, &mut report);
    let dead: Vec<&str> = report.problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(dead, ["crates/a/src/dead.rs"]);
}

#[test]
fn unsafe_outside_the_list_is_found_and_starting_the_runtime_is_not() {
    let text = "fn main() {\n    let rt = unsafe { Runtime::start() };\n    unsafe { other() };\n}\n";
    assert_eq!(found(unsafety::only_in_listed_files, "examples/src/bin/a.rs", text).len(), 1);
    let text =
        "fn main() {\n    let rt = unsafe {\n        Runtime::builder()\n            .start()\n    };\n}\n";
    assert_found(unsafety::only_in_listed_files, "examples/src/bin/a.rs", text, &[]);
    let text = "// unsafe in a comment\nconst A: &str = \"unsafe\";\n";
    assert_found(unsafety::only_in_listed_files, "crates/net/src/a.rs", text, &[]);
}

#[test]
fn an_unsafe_block_needs_its_reason() {
    let bare = "fn f() {\n    unsafe { g() }\n}\n";
    assert_found(unsafety::blocks_say_why, "crates/sys/src/a.rs", bare, &[2]);
    let explained = "fn f() {\n    // SAFETY: g has no requirement.\n    unsafe { g() }\n}\n";
    assert_found(unsafety::blocks_say_why, "crates/sys/src/a.rs", explained, &[]);
}

#[test]
fn unfinished_work_is_found_in_code_and_comments_but_not_in_strings() {
    let text = "fn a() {\n    todo!()\n}\n// FIXME later\nconst B: &str = \"todo!() FIXME\";\n";
    assert_found(words::left_for_later, "crates/net/src/a.rs", text, &[2, 4]);
}

#[test]
fn a_sleep_in_a_test_needs_an_excuse() {
    let text = "fn a() {\n    sleep(d);\n    sleep(d); // not for ordering: the load lasts this long\n}\n";
    assert_found(words::sleeps_in_tests, "crates/net/tests/a.rs", text, &[2]);
    assert_found(words::sleeps_in_tests, "crates/net/src/a.rs", text, &[]);
    let note = "fn a() {\n    note.sleep();\n    usleep(5);\n}\n";
    assert_found(words::sleeps_in_tests, "crates/sys/tests/note.rs", note, &[3]);
}

#[test]
fn thread_locals_have_one_home() {
    let text = "thread_local! {\n}\n";
    assert_found(words::thread_locals, "crates/sched/src/m.rs", text, &[1]);
    assert_found(words::thread_locals, "crates/sys/src/tls.rs", text, &[]);
}

#[test]
fn a_strong_ordering_needs_a_comment() {
    let bare = "use x::{\n    SeqCst,\n};\n\
                fn f() {\n    a.store(1, SeqCst);\n    b.store(1, Relaxed);\n    c.load(Acquire);\n}\n";
    assert_found(words::strong_orderings, "crates/sched/src/a.rs", bare, &[5, 7]);
    let named = "fn f() {\n    // Pairs with the load in g.\n    a.store(1, SeqCst);\n}\n";
    assert_found(words::strong_orderings, "crates/sched/src/a.rs", named, &[]);
}

#[test]
fn odd_characters_and_blanks_are_found() {
    assert_found(words::characters, "a.md", "plain → µs\nno\u{a0}break\ncurly \u{201c}\n", &[2, 3]);
    assert_found(words::whitespace, "a.md", "end \n\ttab\nfine\n", &[1, 2]);
}

#[test]
fn an_alias_names_its_source() {
    let text = "/// Parks.\n///\n/// Go: runtime/proc.go gopark\n#[doc(alias = \"gopark\")]\nfn a() {}\n\n\
                /// Nothing.\n#[doc(alias = \"x\")]\nfn b() {}\n";
    assert_found(items::aliases_name_their_source, "crates/sys/src/a.rs", text, &[8]);
}

#[test]
fn the_changelog_has_a_place_for_the_next_change() {
    assert_found(words::changelog, "CHANGELOG.md", "# Changelog\n", &[0]);
    assert_found(words::changelog, "CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n", &[]);
}
