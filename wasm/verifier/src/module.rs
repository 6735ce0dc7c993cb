//! The WebAssembly module that an image was made of: the numbers that its layout depends on.
//!
//! Format: [WebAssembly, binary format](https://webassembly.github.io/spec/core/binary/modules.html).

use crate::error::Error;

/// What a module defines.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Module {
    pub(crate) imports: u64,
    /// The signature of each function that it defines.
    pub(crate) functions: Vec<u64>,
    pub(crate) globals: u64,
    /// The length of the only table, which cannot grow.
    pub(crate) table: u64,
}

/// Reads the sections of a module.
pub(crate) fn parse(file: &[u8]) -> Result<Module, Error> {
    let mut rest = file
        .strip_prefix(b"\0asm\x01\0\0\0")
        .ok_or(Error::Malformed("its module is no WebAssembly"))?;
    let mut module = Module::default();
    while let [section, after @ ..] = rest {
        rest = after;
        let size = usize::try_from(number(&mut rest)?).map_err(|_| Error::Truncated)?;
        let (mut content, after) = rest.split_at_checked(size).ok_or(Error::Truncated)?;
        rest = after;
        match section {
            2 => module.imports = number(&mut content)?,
            3 => {
                let count = number(&mut content)?;
                module.functions =
                    (0..count).map(|_| number(&mut content)).collect::<Result<_, _>>()?;
            }
            4 => module.table = table(content)?,
            5 if number(&mut content)? != 1 => {
                return Err(Error::Malformed("its module has several memories"));
            }
            6 => module.globals = number(&mut content)?,
            _ => {}
        }
    }
    Ok(module)
}

/// The length of a table of functions whose largest length is also its first.
fn table(mut content: &[u8]) -> Result<u64, Error> {
    let count = number(&mut content)?;
    let Some([0x70, 1, limits @ ..]) = Some(content).filter(|_| count == 1) else {
        return Err(Error::Malformed("its module has not one table of functions with a limit"));
    };
    let mut limits = limits;
    let (least, most) = (number(&mut limits)?, number(&mut limits)?);
    if least != most {
        return Err(Error::Malformed("the table of its module can grow"));
    }
    Ok(least)
}

/// A number in LEB128.
fn number(bytes: &mut &[u8]) -> Result<u64, Error> {
    let mut result = 0;
    for shift in (0..35).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(Error::Truncated)?;
        *bytes = rest;
        result |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(result);
        }
    }
    Err(Error::Malformed("a number of its module is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_of_a_module_are_read() {
        let sections = [
            &[2, 2, 0x81, 0x01][..],
            &[3, 3, 2, 0, 5],
            &[4, 7, 1, 0x70, 1, 0x9a, 0x23, 0x9a, 0x23],
            &[6, 1, 2],
        ];
        let file = [b"\0asm\x01\0\0\0", &sections.concat()[..]].concat();
        let read = Module { imports: 129, functions: vec![0, 5], globals: 2, table: 4506 };
        assert_eq!(parse(&file), Ok(read));
        assert_eq!(parse(&file[..file.len() - 1]), Err(Error::Truncated));
    }

    #[test]
    fn a_table_that_can_grow_is_refused() {
        let file = b"\0asm\x01\0\0\0\x04\x05\x01\x70\x01\x05\x06";
        assert_eq!(parse(file), Err(Error::Malformed("the table of its module can grow")));
    }
}
