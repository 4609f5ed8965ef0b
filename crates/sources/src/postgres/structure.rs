//! Arrays and composites in binary form, as JSON text.

use super::binary::{self, Malformed, Scalar};

/// What a type is made of, as far as its binary form is read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Scalar(Scalar),
    /// An array of any dimension.
    Array(Box<Form>),
    /// A composite type: its attributes in order.
    Composite(Vec<(String, Form)>),
}

/// Composites may hold arrays of composites; PostgreSQL's own types end far above this.
const DEPTH_MAX: usize = 64;
const DIMENSIONS_MAX: usize = 6;

/// Appends a value as JSON.
pub(super) fn write_json(form: &Form, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    write_at(form, bytes, out, DEPTH_MAX)
}

fn write_at(form: &Form, bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    let deeper = depth.checked_sub(1).ok_or(Malformed::Type("type of this depth"))?;
    match form {
        Form::Scalar(scalar) => binary::json_of(*scalar, bytes, out),
        Form::Array(element) => array(element, bytes, out, deeper),
        Form::Composite(attributes) => composite(attributes, bytes, out, deeper),
    }
}

fn array(element: &Form, bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    const NAME: &str = "array";
    let mut reader = Reader { bytes, name: NAME };
    let dimensions = usize::try_from(reader.int()?).map_err(|_| Malformed::Type(NAME))?;
    if dimensions > DIMENSIONS_MAX {
        return Err(Malformed::Type(NAME));
    }
    let (_has_nulls, _element_type) = (reader.int()?, reader.int()?);
    let mut lengths = [0_usize; DIMENSIONS_MAX];
    for length in &mut lengths[..dimensions] {
        *length = usize::try_from(reader.int()?).ok().filter(|&length| length > 0).ok_or(Malformed::Type(NAME))?;
        let _lower_bound = reader.int()?;
    }
    if dimensions == 0 {
        out.extend_from_slice(b"[]");
    } else {
        elements(element, &lengths[..dimensions], &mut reader, out, depth)?;
    }
    reader.end()
}

fn elements(
    element: &Form,
    lengths: &[usize],
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Malformed> {
    let Some((&length, inner)) = lengths.split_first() else {
        return match reader.value()? {
            None => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            Some(bytes) => write_at(element, bytes, out, depth),
        };
    };
    out.push(b'[');
    for index in 0..length {
        if index > 0 {
            out.push(b',');
        }
        elements(element, inner, reader, out, depth)?;
    }
    out.push(b']');
    Ok(())
}

fn composite(attributes: &[(String, Form)], bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    const NAME: &str = "composite";
    let mut reader = Reader { bytes, name: NAME };
    if usize::try_from(reader.int()?) != Ok(attributes.len()) {
        return Err(Malformed::Type(NAME));
    }
    out.push(b'{');
    for (index, (name, form)) in attributes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        binary::text(name, out);
        out.push(b':');
        let _type = reader.int()?;
        match reader.value()? {
            None => out.extend_from_slice(b"null"),
            Some(bytes) => write_at(form, bytes, out, depth)?,
        }
    }
    out.push(b'}');
    reader.end()
}

struct Reader<'a> {
    bytes: &'a [u8],
    name: &'static str,
}

impl<'a> Reader<'a> {
    fn int(&mut self) -> Result<i32, Malformed> {
        let (head, rest) = self.bytes.split_first_chunk().ok_or(Malformed::Type(self.name))?;
        self.bytes = rest;
        Ok(i32::from_be_bytes(*head))
    }

    /// A value with its length before it; -1 is null.
    fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Malformed::Type(self.name))?;
        let (value, rest) = self.bytes.split_at_checked(length).ok_or(Malformed::Type(self.name))?;
        self.bytes = rest;
        Ok(Some(value))
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Malformed::Type(self.name)) }
    }
}

#[cfg(test)]
mod tests;
