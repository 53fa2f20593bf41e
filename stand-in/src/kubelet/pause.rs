//! The image of the container that holds a pod's network: one program that waits forever. It is built here, because no
//! image is pulled.

/// The system call `pause` (34) in a loop, for Linux on x86-64.
const CODE: [u8; 9] = [0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
/// Load address of the program.
const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// The program as an ELF file with one segment.
fn program() -> Vec<u8> {
    let size = HEADERS + CODE.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // executable, x86-64, version
    for half in [2_u16, 62, 1, 0] {
        file.extend(half.to_le_bytes());
    }
    // entry, program headers, section headers
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    // flags; sizes and numbers of headers
    for half in [0_u16, 0, 64, 56, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // to be loaded, readable and executable
    for half in [1_u32, 5] {
        file.extend(half.to_le_bytes());
    }
    for word in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(CODE);
    file
}

/// A tar file with `/pause` in it.
pub(super) fn archive() -> Vec<u8> {
    let program = program();
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "pause");
    put(100, "0000755");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", program.len()));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend(&program);
    archive.resize(512 * (2 + 2), 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_starts_at_the_entry_of_its_header() {
        let program = program();
        assert_eq!(program.len() as u64, HEADERS + CODE.len() as u64);
        assert_eq!(program[24..32], (BASE + HEADERS).to_le_bytes());
        assert_eq!(program[HEADERS as usize..], CODE);
        assert_eq!(archive().len(), 2048);
    }
}
