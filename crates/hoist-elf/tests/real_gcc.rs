//! Struct layouts agree with the C compiler's.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use hoist_elf::header::parse_header;
use hoist_testkit::tool;

const HEADER: &str = r"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLUMNS (1 << 2)

enum kind { LOW, HIGH = COLUMNS };
typedef struct { char tag; double value; } pair;
struct inner { char a; short b; pair p; char c; };
struct outer {
    bool flag;
    struct inner rows[3][COLUMNS];
    enum kind kind;
    char name[5];
    const char *text;
    int (*callback)(const struct outer *, ...);
    uint8_t bytes[HIGH], more;
    long double_[1], *next;
    float last;
};
struct tiny { char only; };
struct twelve { int32_t a; int64_t *b[2]; int16_t c; };

void use(struct outer *o, struct tiny t, struct twelve *w, pair p);
";

#[test]
fn layouts_agree_with_gcc() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let header = parse_header(HEADER).unwrap();
    assert_eq!(header.structs.len(), 5);
    let mut program = format!("#include <stdio.h>\n{HEADER}\nint main(void) {{\n");
    let mut wanted = String::new();
    for layout in &header.structs {
        let name = &layout.name;
        let spelled = if name == "pair" { "pair".to_owned() } else { format!("struct {name}") };
        writeln!(program, "printf(\"{name} %zu %zu\\n\", sizeof({spelled}), _Alignof({spelled}));")
            .unwrap();
        writeln!(wanted, "{name} {} {}", layout.size, layout.align).unwrap();
        for field in &layout.fields {
            let field_name = &field.name;
            writeln!(
                program,
                "printf(\"{name}.{field_name} %zu\\n\", offsetof({spelled}, {field_name}));"
            )
            .unwrap();
            writeln!(wanted, "{name}.{field_name} {}", field.offset).unwrap();
        }
    }
    program.push_str("return 0; }\n");

    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("layout.c");
    let binary = folder.path().join("layout");
    fs::write(&source, program).unwrap();
    gcc.stdout([source.as_os_str(), "-o".as_ref(), binary.as_os_str()]);
    let output = Command::new(&binary).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted);
}
