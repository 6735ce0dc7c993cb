//! The initial memory of the Python image where wasmtime keeps it: in the image's file.
//!
//! A reset copies the written pages twice: `restore` first, then wasmtime. wasmtime copies from the
//! image's file, and another instance has the same bytes in other physical pages. From one source,
//! the second copy finds its bytes in the processor's cache, and a trivial task takes 3 % less time
//! (`cargo bench --bench fresh_task -- --only trivial`).

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::param::page_size;
use wasmtime::Module;

/// The section of the image that holds the initial memory; `ELF_WASM_DATA` of wasmtime.
const DATA_SECTION: &[u8] = b".rodata.wasm\0";

/// The initial memory in the image's file.
///
/// wasmtime does not tell to which address it belongs: here, to the pages that end with the last
/// one that is not zero. So no page is used before it was compared once.
pub(crate) struct ImageData {
    bytes: *const [u8],
    /// Offset of `bytes` in linear memory, which is zero before and after them.
    start: usize,
    /// One bit for each page of memory: it was compared, and is equal.
    equal: Vec<AtomicU64>,
}

// SAFETY: `bytes` is only read, and nothing writes to it. All other fields are `Send` and `Sync`.
unsafe impl Send for ImageData {}
// SAFETY: as above.
unsafe impl Sync for ImageData {}

impl ImageData {
    /// Finds the data of a module whose initial memory is `pristine`. The module must outlive the
    /// result.
    pub(crate) fn new(module: &Module, pristine: &[u8]) -> Option<Self> {
        let Range { start, end } = module.image_range();
        // SAFETY: the range is the module's file in memory, which nothing writes to.
        let image = unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) };
        let bytes = section(image, DATA_SECTION)?;
        let used = pristine.iter().rposition(|byte| *byte != 0)? + 1;
        let start = used.next_multiple_of(page_size()).checked_sub(bytes.len())?;
        let words = pristine.len().div_ceil(page_size()).div_ceil(64);
        Some(Self { bytes, start, equal: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    /// Copies the initial memory from offset `from` to `written`. `pristine` is a copy of it. All
    /// are whole pages.
    pub(crate) fn copy(&self, from: usize, written: &mut [u8], pristine: &[u8]) {
        let pages = from / page_size()..(from + written.len()).div_ceil(page_size());
        if !self.are_equal(pages.clone()) {
            written.copy_from_slice(pristine);
            self.compare(from, pristine);
            return;
        }
        let (before, rest) =
            written.split_at_mut(self.start.saturating_sub(from).min(written.len()));
        let (inside, after) =
            rest.split_at_mut(self.end().saturating_sub(from + before.len()).min(rest.len()));
        before.fill(0);
        after.fill(0);
        match self.initial(from + before.len(), inside.len()) {
            Some(initial) => inside.copy_from_slice(initial),
            None => inside.copy_from_slice(&pristine[before.len()..][..inside.len()]),
        }
    }

    /// Offset in linear memory behind the file's bytes.
    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }

    /// Returns initial memory that the file has.
    fn initial(&self, from: usize, len: usize) -> Option<&[u8]> {
        // SAFETY: the module lives, and nothing writes to its file.
        let bytes = unsafe { &*self.bytes };
        bytes.get(from.checked_sub(self.start)?..)?.get(..len)
    }

    fn are_equal(&self, mut pages: Range<usize>) -> bool {
        pages.all(|page| {
            let word = self.equal.get(page / 64).map(|word| word.load(Ordering::Relaxed));
            word.is_some_and(|word| word & (1 << (page % 64)) != 0)
        })
    }

    /// Notes which pages of `pristine` the file has, too.
    fn compare(&self, from: usize, pristine: &[u8]) {
        for (index, page) in pristine.chunks(page_size()).enumerate() {
            let offset = from + index * page_size();
            let is_outside = offset + page.len() <= self.start || offset >= self.end();
            let is_equal = if is_outside {
                page.iter().all(|byte| *byte == 0)
            } else {
                self.initial(offset, page.len()) == Some(page)
            };
            let number = offset / page_size();
            if let (true, Some(word)) = (is_equal, self.equal.get(number / 64)) {
                word.fetch_or(1 << (number % 64), Ordering::Relaxed);
            }
        }
    }
}

/// Returns a section of an [ELF file] of 64 bits, little endian. `name` ends in a zero.
///
/// [ELF file]: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.sheader.html
fn section<'a>(file: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let headers = file.get(number::<8>(file, 0x28)?..)?;
    let size = number::<2>(file, 0x3a)?;
    let header = |index: usize| headers.get(index * size..)?.get(..size);
    let content =
        |header: &[u8]| file.get(number::<8>(header, 0x18)?..)?.get(..number::<8>(header, 0x20)?);
    let names = content(header(number::<2>(file, 0x3e)?)?)?;
    (0..number::<2>(file, 0x3c)?).map_while(header).find_map(|header| {
        let own = names.get(number::<4>(header, 0)?..)?;
        own.starts_with(name).then(|| content(header)).flatten()
    })
}

/// Reads an unsigned number of `N` bytes.
fn number<const N: usize>(bytes: &[u8], offset: usize) -> Option<usize> {
    let mut number = [0; 8];
    number[..N].copy_from_slice(bytes.get(offset..)?.get(..N)?);
    usize::try_from(u64::from_le_bytes(number)).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sandbox::{NoHost, Program, Sandbox};

    /// Memory of 6 pages, of which a file has the third and the fourth.
    fn memory() -> Vec<u8> {
        let mut memory = vec![0; 6 * page_size()];
        memory[2 * page_size()..4 * page_size()].fill(7);
        memory
    }

    fn data(file: &[u8]) -> ImageData {
        ImageData { bytes: file, start: 2 * page_size(), equal: vec![AtomicU64::new(0)] }
    }

    #[test]
    fn compared_pages_are_copied_from_the_file() {
        let memory = memory();
        let file = memory[2 * page_size()..4 * page_size()].to_vec();
        let data = data(&file);
        for range in [0..6, 1..3, 0..1, 3..4, 3..5, 4..6, 5..6] {
            let bytes = range.start * page_size()..range.end * page_size();
            let mut written = vec![1; bytes.len()];
            data.copy(bytes.start, &mut written, &memory[bytes.clone()]);
            assert!(written == memory[bytes.clone()], "{range:?}");
            assert!(data.are_equal(range));
        }
        // The bytes of compared pages come from the file, and are zero outside.
        let mut written = vec![1; memory.len()];
        data.copy(0, &mut written, &vec![9; memory.len()]);
        assert!(written == memory);
    }

    #[test]
    fn pages_that_differ_from_the_file_are_not_copied_from_it() {
        let mut memory = memory();
        let file = memory[2 * page_size()..4 * page_size()].to_vec();
        memory[1] = 1;
        memory[3 * page_size()] = 1;
        memory[4 * page_size()] = 1;
        let data = data(&file);
        for _ in 0..2 {
            let mut written = vec![1; memory.len()];
            data.copy(0, &mut written, &memory);
            assert!(written == memory);
        }
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|page| data.are_equal(page..page + 1)),
            [false, true, true, false, false, true]
        );
    }

    #[test]
    fn files_without_the_section_have_no_data() {
        for file in [&b""[..], b"\x7fELF", &[0; 64], &[0xff; 64], &[0xff; 4096]] {
            assert_eq!(section(file, DATA_SECTION), None);
        }
    }

    /// Otherwise each reset copies from a second source, which only costs time.
    #[tokio::test]
    async fn the_image_has_the_pages_that_a_task_writes() {
        let sandbox = Sandbox::builder().slots(1).build().unwrap();
        // Without `PAGEMAP_SCAN` wasmtime alone resets the memory.
        let Some(pool) = sandbox.pool_memory() else { return };
        for _ in 0..2 {
            let job = Program::new("return 1").into();
            drop(sandbox.run_in(None, job, Arc::new(NoHost)).await);
        }
        let data = pool.reset.data().expect("the image has the section");
        let equal: u32 =
            data.equal.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        assert!(equal > 30, "{equal} pages");
    }
}
