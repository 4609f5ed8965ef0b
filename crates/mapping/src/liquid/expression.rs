//! Values, operators and filters inside of tags and outputs.

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Nil,
    Empty,
    Blank,
    Text(String),
    Number(f64),
    Range(Box<Value>, Box<Value>),
    /// A variable, or a value, and the properties below it. A variable's name is the first property.
    Access(Option<Box<Value>>, Vec<Value>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    Differs,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Contains,
    Not,
    And,
    Or,
}

impl Operator {
    pub(super) const WORDS: &[&str] = &["==", "!=", ">", "<", ">=", "<=", "contains", "not", "and", "or"];

    pub(super) fn of(word: &str) -> Self {
        match word {
            "==" => Operator::Equals,
            "!=" => Operator::Differs,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" => Operator::AtLeast,
            "<=" => Operator::AtMost,
            "contains" => Operator::Contains,
            "not" => Operator::Not,
            "and" => Operator::And,
            _ => Operator::Or,
        }
    }

    pub(super) fn precedence(self) -> u8 {
        match self {
            Operator::And | Operator::Or => 0,
            Operator::Not => 1,
            _ => 2,
        }
    }
}

/// One step of an expression in postfix order.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Operand(Value),
    Operator(Operator),
}

/// An expression in postfix order. Operators of equal rank group from the right.
#[derive(Debug, Clone, Default)]
pub(super) struct Expression {
    pub(super) steps: Vec<Step>,
}

impl Expression {
    pub(super) fn operand(&mut self, value: Value) {
        self.steps.push(Step::Operand(value));
    }

    pub(super) fn operator(&mut self, operator: Operator) {
        self.steps.push(Step::Operator(operator));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) arguments: Vec<(Option<String>, Value)>,
}

/// An expression, what its value goes through, and how both are written.
#[derive(Debug, Clone)]
pub(super) struct Filtered {
    pub(super) expression: Expression,
    pub(super) filters: Vec<Filter>,
    pub(super) text: String,
}

impl Value {
    /// Calls `visit` with the constant keys of each variable in it, or nothing if a key is computed.
    pub(super) fn visit_variables(&self, visit: &mut dyn FnMut(Option<Vec<String>>)) {
        match self {
            Value::Range(low, high) => {
                low.visit_variables(visit);
                high.visit_variables(visit);
            }
            Value::Access(root, properties) => {
                properties.iter().for_each(|property| property.visit_variables(visit));
                if let Some(root) = root {
                    return root.visit_variables(visit);
                }
                let keys = properties.iter().take(2).map(|property| match property {
                    Value::Text(key) => Some(key.clone()),
                    Value::Number(number) => Some(records::number_text(*number)),
                    _ => None,
                });
                visit(keys.collect());
            }
            _ => {}
        }
    }
}

impl Filtered {
    pub(super) fn visit_variables(&self, visit: &mut dyn FnMut(Option<Vec<String>>)) {
        for step in &self.expression.steps {
            if let Step::Operand(value) = step {
                value.visit_variables(visit);
            }
        }
        for (_, argument) in self.filters.iter().flat_map(|filter| &filter.arguments) {
            argument.visit_variables(visit);
        }
    }
}
