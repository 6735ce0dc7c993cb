//! Reads the parts of an ELF file that the verifier needs: its machine, its code and its functions.
//!
//! Format: [ELF-64 Object File Format](https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html).

use crate::error::Error;

/// Length in bytes of the ELF header, of a section header and of a symbol.
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
/// The type of a function in `st_info`.
const FUNCTION: u8 = 2;

/// A section header.
#[derive(Clone, Copy)]
struct Section {
    name: u32,
    flags: u64,
    address: u64,
    offset: usize,
    size: usize,
}

/// A function symbol.
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    /// Offset in the section `.text`.
    pub(crate) start: u64,
    pub(crate) size: u64,
}

/// The code of an ELF file.
pub(crate) struct Elf<'a> {
    /// `e_machine`.
    pub(crate) machine: u16,
    pub(crate) text: &'a [u8],
    pub(crate) functions: Vec<Symbol<'a>>,
}

/// Parses a file.
pub(crate) fn parse(file: &[u8]) -> Result<Elf<'_>, Error> {
    if file.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err(Error::Malformed("it is not a little-endian ELF-64 file"));
    }
    let machine = u16::from_le_bytes(array(file, 18)?);
    let sections = sections(file)?;
    let names = sections
        .get(usize::from(u16::from_le_bytes(array(file, 62)?)))
        .ok_or(Error::Malformed("it has no section of names"))?;
    let names = content(file, names)?;
    let find = |wanted: &'static str| {
        let mut found = sections.iter().filter(|s| text_at(names, s.name) == Ok(wanted));
        match (found.next(), found.next()) {
            (Some(section), None) => Ok(section),
            _ => Err(Error::Malformed("a section is missing or occurs twice")),
        }
    };
    let text = find(".text")?;
    // SHF_EXECINSTR. A second section of code would not be looked at.
    if sections.iter().filter(|section| section.flags & 4 != 0).count() != 1
        || text.flags & 4 == 0
        || text.address != 0
    {
        return Err(Error::Malformed("`.text` is not its only code"));
    }
    let functions = functions(content(file, find(".symtab")?)?, content(file, find(".strtab")?)?)?;
    Ok(Elf { machine, text: content(file, text)?, functions })
}

fn sections(file: &[u8]) -> Result<Vec<Section>, Error> {
    let at = size(u64::from_le_bytes(array(file, 40)?))?;
    let count = usize::from(u16::from_le_bytes(array(file, 60)?));
    if at < HEADER || usize::from(u16::from_le_bytes(array(file, 58)?)) != SECTION {
        return Err(Error::Malformed("its section headers have an unknown size"));
    }
    (0..count)
        .map(|index| {
            let header = at.checked_add(index * SECTION).ok_or(Error::Truncated)?;
            Ok(Section {
                name: u32::from_le_bytes(array(file, header)?),
                flags: u64::from_le_bytes(array(file, header + 8)?),
                address: u64::from_le_bytes(array(file, header + 16)?),
                offset: size(u64::from_le_bytes(array(file, header + 24)?))?,
                size: size(u64::from_le_bytes(array(file, header + 32)?))?,
            })
        })
        .collect()
}

fn functions<'a>(symbols: &'a [u8], names: &'a [u8]) -> Result<Vec<Symbol<'a>>, Error> {
    let mut functions = Vec::with_capacity(symbols.len() / SYMBOL);
    for symbol in symbols.chunks_exact(SYMBOL) {
        if symbol[4] & 15 == FUNCTION {
            functions.push(Symbol {
                name: text_at(names, u32::from_le_bytes(array(symbol, 0)?))?,
                start: u64::from_le_bytes(array(symbol, 8)?),
                size: u64::from_le_bytes(array(symbol, 16)?),
            });
        }
    }
    Ok(functions)
}

fn content<'a>(file: &'a [u8], section: &Section) -> Result<&'a [u8], Error> {
    let end = section.offset.checked_add(section.size).ok_or(Error::Truncated)?;
    file.get(section.offset..end).ok_or(Error::Truncated)
}

fn text_at(names: &[u8], at: u32) -> Result<&str, Error> {
    let from = names.get(at as usize..).ok_or(Error::Truncated)?;
    let end = from.iter().position(|byte| *byte == 0).ok_or(Error::Truncated)?;
    std::str::from_utf8(&from[..end]).map_err(|_| Error::Malformed("a name is not UTF-8"))
}

fn array<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N], Error> {
    let end = at.checked_add(N).ok_or(Error::Truncated)?;
    file.get(at..end).and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Truncated)
}

fn size(number: u64) -> Result<usize, Error> {
    usize::try_from(number).map_err(|_| Error::Truncated)
}
