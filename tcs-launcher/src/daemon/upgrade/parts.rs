//! What is known of one process, as it stands in the table, and as a runner has it.

use std::io;

use crate::runner::ProcessParts;
use crate::runner::output::PipeParts;
use crate::takeover::{Files, PipeEntry, ProcessEntry, Received};
use tcs_supervisor::{Run, ServiceId};

/// For the table.
pub(super) fn to_entry(parts: ProcessParts, files: &mut Files) -> io::Result<ProcessEntry> {
    let ProcessParts { pid, mark, entry, socket, pipes, order, error, awaits_ready, .. } = parts;
    let socket = socket.transpose()?.map(|(path, socket)| (path, files.add(socket)));
    let mut saved = Vec::new();
    for PipeParts { stream, pipe, pending } in pipes {
        saved.push(PipeEntry { stream, pipe: files.add(pipe?), pending });
    }
    let pipes = saved;
    Ok(ProcessEntry { pid, mark, entry, socket, pipes, order, error, awaits_ready })
}

/// Out of the table.
pub(super) fn to_parts(
    id: ServiceId,
    run: Run,
    entry: ProcessEntry,
    files: &mut Received,
) -> ProcessParts {
    let ProcessEntry { pid, mark, entry, socket, pipes, order, error, awaits_ready } = entry;
    let socket = socket.map(|(path, socket)| Ok((path, files.take(socket)?)));
    let pipe = |it: PipeEntry| {
        let PipeEntry { stream, pipe, pending } = it;
        PipeParts { stream, pipe: files.take(pipe), pending }
    };
    let pipes = pipes.into_iter().map(pipe).collect();
    ProcessParts { id, run, pid, mark, entry, socket, pipes, order, error, awaits_ready }
}
