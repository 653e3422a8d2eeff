//! Integer constant expressions: array lengths, enum values and `#if`.

use super::error::HeaderError;
use super::lexer::TokenKind;
use super::tokens::Cursor;

/// Operators with two sides, loosest first; each row binds alike.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// What an identifier stands for; `None` when it stands for nothing.
type Resolve<'r> = dyn Fn(&str) -> Option<i128> + 'r;

/// Evaluates the expression at the cursor and leaves the cursor behind it.
///
/// Both sides of `&&`, `||` and `?:` are evaluated, so `0 && 1/0` is refused; a header has no
/// use for that.
pub(super) fn evaluate(
    cursor: &mut Cursor<'_>,
    resolve: &Resolve<'_>,
) -> Result<i128, HeaderError> {
    Cursor::nested(
        cursor,
        |cursor| cursor,
        |cursor| {
            let condition = binary(cursor, resolve, 0)?;
            if !cursor.take("?") {
                return Ok(condition);
            }
            let then = evaluate(cursor, resolve)?;
            cursor.expect(":", "`:` of a condition")?;
            let otherwise = evaluate(cursor, resolve)?;
            Ok(if condition == 0 { otherwise } else { then })
        },
    )
}

fn binary(
    cursor: &mut Cursor<'_>,
    resolve: &Resolve<'_>,
    level: usize,
) -> Result<i128, HeaderError> {
    let Some(operators) = LEVELS.get(level) else { return unary(cursor, resolve) };
    let mut left = binary(cursor, resolve, level + 1)?;
    while let Some(operator) =
        cursor.peek().filter(|token| operators.iter().any(|operator| token.is(operator)))
    {
        cursor.next();
        let right = binary(cursor, resolve, level + 1)?;
        left = apply(operator.text, left, right).ok_or_else(|| HeaderError::Constant {
            place: operator.place,
            problem: format!("`{left} {} {right}` has no value", operator.text),
        })?;
    }
    Ok(left)
}

fn apply(operator: &str, left: i128, right: i128) -> Option<i128> {
    let shift = || u32::try_from(right).ok().filter(|&bits| bits < 64);
    Some(match operator {
        "||" => i128::from(left != 0 || right != 0),
        "&&" => i128::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i128::from(left == right),
        "!=" => i128::from(left != right),
        "<" => i128::from(left < right),
        ">" => i128::from(left > right),
        "<=" => i128::from(left <= right),
        ">=" => i128::from(left >= right),
        "<<" => left.checked_mul(1 << shift()?)?,
        ">>" => left >> shift()?,
        "+" => left.checked_add(right)?,
        "-" => left.checked_sub(right)?,
        "*" => left.checked_mul(right)?,
        "/" => left.checked_div(right)?,
        _ => left.checked_rem(right)?,
    })
}

fn unary(cursor: &mut Cursor<'_>, resolve: &Resolve<'_>) -> Result<i128, HeaderError> {
    Cursor::nested(
        cursor,
        |cursor| cursor,
        |cursor| {
            let Some(token) = cursor.peek() else { return Err(cursor.unexpected("a number")) };
            let problem = |problem| Err(HeaderError::Constant { place: token.place, problem });
            match (token.kind, token.text) {
                (TokenKind::Punctuation, "(") => {
                    cursor.next();
                    let value = evaluate(cursor, resolve)?;
                    cursor.expect(")", "`)`")?;
                    Ok(value)
                }
                (TokenKind::Punctuation, operator @ ("-" | "+" | "!" | "~")) => {
                    cursor.next();
                    let value = unary(cursor, resolve)?;
                    match operator {
                        "-" => {
                            value.checked_neg().map_or_else(|| problem("overflow".to_owned()), Ok)
                        }
                        "!" => Ok(i128::from(value == 0)),
                        "~" => Ok(!value),
                        _ => Ok(value),
                    }
                }
                (TokenKind::Number, text) => {
                    cursor.next();
                    number(text).map_or_else(|| problem(format!("`{text}` is not an integer")), Ok)
                }
                (TokenKind::Quoted, text) => {
                    cursor.next();
                    character(text).map_or_else(|| problem(format!("{text} is not a number")), Ok)
                }
                (TokenKind::Identifier, name) => match resolve(name) {
                    Some(value) => {
                        cursor.next();
                        Ok(value)
                    }
                    None => problem(format!("`{name}` is not a known number")),
                },
                _ => Err(cursor.unexpected("a number")),
            }
        },
    )
}

/// An integer of C, with any of its suffixes.
fn number(text: &str) -> Option<i128> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(['u', 'l']);
    let (digits, radix) = if let Some(digits) = digits.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = digits.strip_prefix("0b") {
        (digits, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    };
    u64::from_str_radix(digits, radix).ok().map(i128::from)
}

/// A character in single quotes, without escapes but for `\0`.
fn character(text: &str) -> Option<i128> {
    match text.strip_prefix('\'')?.strip_suffix('\'')? {
        "\\0" => Some(0),
        one if one.len() == 1 && one != "\\" => Some(i128::from(one.as_bytes()[0])),
        _ => None,
    }
}
