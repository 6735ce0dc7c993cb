//! What the host's functions compute, in every engine alike.

/// Calls into the module from a call of the host, one within the other.
pub const DEEPEST: u32 = 3;

pub fn mix(x: i32) -> i32 {
    x.wrapping_mul(31).wrapping_add(7)
}

pub fn mix64(x: i64, y: f64) -> i64 {
    let y = if y.is_nan() { 0 } else { y.to_bits().cast_signed() };
    x.rotate_left(7) ^ y
}

pub fn half(x: f32) -> f32 {
    if x.is_nan() { 1.0 } else { x * 0.5 }
}

pub fn many((a, b, c, d, e, f): (i32, i64, f32, f64, i32, i64)) -> (i64, i32) {
    (mix64(b ^ f, d), mix(a ^ e ^ half(c).to_bits().cast_signed()))
}

/// Pages by which `grow` grows the memory.
pub fn pages(x: i32) -> u32 {
    x.cast_unsigned() & 1
}

/// Numbers that a test puts in, of which many are at the edge of something.
pub fn number(random: u64) -> i64 {
    const EDGES: [i64; 12] =
        [0, 1, -1, 2, 7, 8, 0xffff, 0x1_0000, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];
    if random.is_multiple_of(3) {
        (random >> 8).cast_signed()
    } else {
        EDGES[(random >> 8) as usize % EDGES.len()]
    }
}

/// Hashes bytes with FNV-1a, 8 at a time.
fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}

/// Formats a memory by its size and hash.
pub fn memory(bytes: &[u8]) -> String {
    format!("{} bytes {:016x}", bytes.len(), hash(bytes))
}

/// Formats the name of an export, which may hold any characters.
pub fn name(name: &str) -> String {
    name.escape_debug().to_string()
}

/// Formats what an instance holds, by the names of its exports.
pub fn state(mut exports: Vec<(String, String)>) -> String {
    exports.sort_unstable();
    let shown = exports.iter().map(|(export, text)| format!("{}: {text}; ", name(export)));
    shown.collect()
}

/// What one call of an exported function did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub function: String,
    /// The results, or the kind of trap.
    pub outcome: String,
    /// The memory's size and hash, and all globals.
    pub state: String,
    /// The fuel that is left. `None`: a trap ended a call, and the code generators may differ.
    pub fuel: Option<u64>,
    /// Whether it ran out of stack, whose size differs between code generators.
    pub overflowed: bool,
}
