//! A tiny C project that ships in a fraction of a second.

use crate::Hoist;

/// The `hoist.toml` of [`Hoist::adder`]; more sections may be appended.
pub const ADDER_MANIFEST: &str = r#"[package]
name = "adder"
version = "1.0"

[build]
toolchain = "cc"
sources = ["src/*.c", "include/*.h"]

[[library]]
path = "lib/libadder.so"
header = "include/adder.h"
"#;

const HEADER: &str = "\
#include <stdint.h>

typedef struct {
    double x;
    double y;
} adder_point;

int32_t adder_add(int32_t a, int32_t b);
int32_t adder_edition(void);
adder_point adder_mirror(adder_point point);
void adder_scale(adder_point *point, double factor);
";

impl Hoist {
    /// Writes the project `adder` into the project folder.
    ///
    /// Its `adder_edition()` answers 1; [`Hoist::adder_edition`] writes another.
    pub fn adder(&self) {
        self.write("hoist.toml", ADDER_MANIFEST);
        self.write("include/adder.h", HEADER);
        self.adder_edition(1);
    }

    /// Writes the one source of `adder`, whose `adder_edition()` answers `edition`.
    pub fn adder_edition(&self, edition: u32) {
        let source = format!(
            "#include \"adder.h\"

int32_t adder_add(int32_t a, int32_t b) {{ return a + b; }}

int32_t adder_edition(void) {{ return {edition}; }}

adder_point adder_mirror(adder_point point) {{
    adder_point mirrored = {{point.y, point.x}};
    return mirrored;
}}

void adder_scale(adder_point *point, double factor) {{
    point->x *= factor;
    point->y *= factor;
}}
"
        );
        self.write("src/adder.c", source);
    }

    /// Writes the manifest of `adder` with a bench: a shell script that hoist runs as its gate,
    /// with the bar `speedup = 13.1`.
    pub fn adder_bench(&self, script: &str) {
        self.write("bench.sh", script);
        let bench = "\n[bench]\ncommand = [\"sh\", \"bench.sh\"]\nmin = { speedup = 13.1 }\n";
        self.write("hoist.toml", format!("{ADDER_MANIFEST}{bench}"));
    }
}
