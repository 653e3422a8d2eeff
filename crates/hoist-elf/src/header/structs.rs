//! `struct` and `enum`, as types and with their bodies.

use hoist_schema::abi::AbiType;

use super::declaration::Parser;
use super::declarator::apply_steps;
use super::error::{HeaderError, Place};
use super::expression::evaluate;
use super::layout::lay_out;
use super::tokens::Cursor;
use super::types::Qualified;

type Field = (String, AbiType, Place);

impl Parser<'_> {
    /// Reads `struct …` or `enum …`, with a body or without.
    pub(super) fn tagged_type(&mut self) -> Result<Qualified, HeaderError> {
        let place = self.cursor.place();
        if self.cursor.take("union") {
            let refusal = HeaderError::Unsupported {
                place,
                what: "a union".to_owned(),
                instead: "use a struct, or pass the bytes behind a pointer",
            };
            return self.union_by_name(place, refusal).map(Qualified::plain);
        }
        let is_struct = self.cursor.take("struct");
        if !is_struct {
            self.cursor.expect("enum", "`struct` or `enum`")?;
        }
        let refused = self.attributes_of_struct()?;
        let has_tag = !self.cursor.is("{");
        let wanted = if is_struct { "the struct's name or `{`" } else { "the enum's name or `{`" };
        let tag =
            if has_tag { Some(self.cursor.identifier(wanted)?.text.to_owned()) } else { None };
        let kind = Cursor::nested(
            self,
            |parser| &mut parser.cursor,
            |parser| {
                if is_struct {
                    parser.struct_type(tag, place)
                } else {
                    parser.enum_type(tag, place)
                }
            },
        )?;
        if let (Some(why), AbiType::Struct { name }) = (refused, &kind) {
            self.forget_fields(name, why);
        }
        Ok(Qualified::plain(kind))
    }

    fn struct_type(&mut self, tag: Option<String>, place: Place) -> Result<AbiType, HeaderError> {
        if let Some(tag) = &tag {
            self.types.declare_struct(tag);
        }
        if self.cursor.is("{") {
            let start = self.cursor.mark();
            // A struct without a tag gets its name from the typedef around it.
            let name = tag.clone().unwrap_or_default();
            let fields = self.fields();
            let layout = fields.and_then(|fields| lay_out(&self.types, name.clone(), fields));
            let layout = match layout {
                Ok(layout) => layout,
                Err(error) => self.struct_by_name(start, name, error)?,
            };
            if tag.is_some() {
                self.types.define_struct(place, layout)?;
            } else {
                self.untagged = Some((place, layout));
            }
        }
        Ok(AbiType::Struct { name: tag.unwrap_or_default() })
    }

    fn fields(&mut self) -> Result<Vec<Field>, HeaderError> {
        let place = self.cursor.place();
        self.cursor.expect("{", "`{`")?;
        let mut fields: Vec<Field> = Vec::new();
        while !self.cursor.take("}") {
            if self.cursor.take(";") {
                continue;
            }
            let specifiers = self.specifiers()?;
            self.refuse_untagged()?;
            loop {
                fields.push(self.field(&specifiers.base)?);
                if !self.cursor.take(",") {
                    break;
                }
            }
            self.cursor.expect(";", "`;` behind a field")?;
        }
        if fields.is_empty() {
            return Err(HeaderError::Unexpected {
                place,
                found: "a struct without fields".to_owned(),
                wanted: "at least one field",
            });
        }
        let mut names: Vec<_> = fields.iter().map(|(name, _, place)| (name, *place)).collect();
        names.sort_by_key(|(name, place)| (*name, place.line, place.column));
        match names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(HeaderError::Conflict { place: pair[1].1, name: pair[1].0.clone() }),
            None => Ok(fields),
        }
    }

    fn field(&mut self, base: &Qualified) -> Result<Field, HeaderError> {
        let unsupported = |place, what: &str, instead| {
            Err(HeaderError::Unsupported { place, what: what.to_owned(), instead })
        };
        let declarator = self.declarator()?;
        while self.skip_attribute()? {}
        if self.cursor.is(":") {
            let instead = "use a whole integer and masks: compilers differ in how they place bits";
            return unsupported(declarator.place, "a bit-field", instead);
        }
        let Some(name) = declarator.name else {
            return Err(self.cursor.unexpected("the field's name"));
        };
        let kind = apply_steps(base.clone(), &declarator.steps, name.place)?.kind;
        if matches!(kind, AbiType::Array { length: 0, .. }) {
            let instead = "use a pointer and a length";
            return unsupported(name.place, "a field without a length", instead);
        }
        Ok((name.text.to_owned(), kind, name.place))
    }

    fn enum_type(&mut self, tag: Option<String>, place: Place) -> Result<AbiType, HeaderError> {
        if !self.cursor.is("{") {
            let name = tag.unwrap_or_default();
            let known = self.types.enums.get(&name).cloned();
            let name = format!("enum {name}");
            return known.ok_or(HeaderError::UnknownType { place, name });
        }
        self.cursor.next();
        let (mut next, mut least, mut most) = (0_i128, 0, 0);
        while !self.cursor.take("}") {
            let name = self.cursor.identifier("the name of an enumerator")?;
            while self.skip_attribute()? {}
            if self.cursor.take("=") {
                let constants = &self.types.constants;
                next = evaluate(&mut self.cursor, &|name| constants.get(name).copied())?;
            }
            let is_narrow = next >= i128::from(i32::MIN) && next <= i128::from(u32::MAX);
            if !is_narrow {
                return Err(HeaderError::Constant {
                    place: name.place,
                    problem: format!("`{} = {next}` does not fit 32 bits", name.text),
                });
            }
            if self.types.constants.insert(name.text.to_owned(), next).is_some() {
                let name_text = name.text.to_owned();
                return Err(HeaderError::Conflict { place: name.place, name: name_text });
            }
            (least, most) = (least.min(next), most.max(next));
            next += 1;
            if !self.cursor.take(",") {
                self.cursor.expect("}", "`,` or `}` behind an enumerator")?;
                break;
            }
        }
        if least < 0 && most > i128::from(i32::MAX) {
            let problem = format!("an enum from {least} to {most} does not fit 32 bits");
            return Err(HeaderError::Constant { place, problem });
        }
        // As gcc and clang choose: unsigned unless an enumerator is negative.
        let kind = AbiType::Int { bits: 32, signed: least < 0 };
        if let Some(tag) = tag {
            let known = self.types.enums.insert(tag.clone(), kind.clone());
            if known.is_some() {
                return Err(HeaderError::Conflict { place, name: tag });
            }
        }
        Ok(kind)
    }
}
