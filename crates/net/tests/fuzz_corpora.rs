//! Every input of the fuzzer's corpora, through the function that its target calls.

use std::path::Path;

use gopark_net::for_fuzz::TARGETS;

#[test]
fn each_input_is_fine() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let inputs =
            std::fs::read_dir(corpora.join(name)).unwrap_or_else(|e| panic!("corpus of {name}: {e}"));
        let mut count = 0;
        for input in inputs {
            let path = input.expect("a folder").path();
            let bytes = std::fs::read(&path).expect("a file");
            // A panic names the input by what it shows of it; this names the file.
            assert!(std::panic::catch_unwind(|| target(&bytes)).is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count > 0, "the corpus of {name} is empty");
    }
    let known = |name: &str| TARGETS.iter().any(|(target, _)| *target == name);
    for folder in std::fs::read_dir(&corpora).expect("the corpora") {
        let name = folder.expect("a folder").file_name().into_string().expect("a name");
        assert!(known(&name), "a corpus for no target: {name}");
    }
}
