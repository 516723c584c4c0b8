// Package logic reads the snippets of HAProxy's rules that a Logic holds, into a tree of what is on a list, and prints the
// tree anew: nothing of what somebody wrote reaches a configuration as it was written.
package logic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxText is how long a text can be in bytes, MaxRules how many directives it can hold.
const (
	MaxText  = 16 << 10
	MaxRules = 100
	// MaxRegexes is how many regexes a text can hold, maxOften how many of them that are held against many parts of one
	// value: all may be asked of one request, while others wait.
	MaxRegexes = 100
	maxOften   = 8
	// maxWords is how many words a printed line can have: HAProxy takes 64.
	maxWords = 60
)

// Program is what a text says.
type Program struct {
	Statements []Statement
}

// Statement is one line: the acl of a name, or a rule.
type Statement struct {
	// Line counts from 1.
	Line int
	ACL  *ACL
	Rule *Rule
}

// ACL is a condition with a name; several of one name hold when one of them does.
type ACL struct {
	Name string
	// Lists are those that the client may be in; Sample is nil then.
	Lists  []string
	Sample *Expr
	// Match is how the sample is held against the values, "" for a method.
	Match  string
	Fold   bool // whatever the case
	Values []string
}

// Rule is what is done in which phase, and when.
type Rule struct {
	Directive string
	Action    string
	// Variable is that of set-var and its like, as it was written.
	Variable string
	Words    []Operand
	Options  []Option
	// When is nil for always.
	When *Condition
}

// Option is a keyword with what follows it.
type Option struct {
	Name  string
	Words []Operand
}

// Operand is a word of an action: text, text with expressions, or one expression.
type Operand struct {
	Text   string
	Format []Piece
	Expr   *Expr
}

// Piece is text, or the value of an expression.
type Piece struct {
	Text string
	Expr *Expr
}

// Expr is a sample: what is looked at, and what is made of it.
type Expr struct {
	Fetch      Call
	Converters []Call
}

// Call is a fetch or converter with its arguments.
type Call struct {
	Name string
	Args []string
}

// Condition holds when all terms of one of the alternatives do, with Unless when that is not so.
type Condition struct {
	Unless bool
	Any    [][]Term
}

// Term names an ACL.
type Term struct {
	Not bool
	ACL string
}

// Problem is why a line is refused.
type Problem struct {
	Line    int
	Message string
}

// String gives "line 3: why".
func (p Problem) String() string {
	if p.Line == 0 {
		return p.Message
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Message)
}

// Objects are the names that parameters bring which stand for AccessLists and Maps. Whoever gives such a value refers to what
// it names; of no other parameter is that known.
type Objects struct{ Lists, Maps []string }

// Parse reads a text. values are what ${name} stands for, objects those of them that may name something; header says why a header can't be changed. Without problems the
// program holds nothing but what is on the list.
func Parse(text string, values map[string]string, objects Objects, header func(string) error) (*Program, []Problem) {
	p := parser{values: values, objects: objects, header: header, acls: map[string]phase{}, program: &Program{}}
	if len(text) > MaxText {
		return p.program, []Problem{{0, fmt.Sprintf("is %d bytes long; at most %d are allowed", len(text), MaxText)}}
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.line++
		if err := p.directive(strings.TrimSuffix(line, "\r")); err != nil {
			p.problems = append(p.problems, Problem{p.line, err.Error()})
		}
	}
	switch n := len(p.program.Statements); {
	case n == 0 && len(p.problems) == 0:
		p.problems = append(p.problems, Problem{0, "holds no directive"})
	case n > MaxRules:
		p.problems = append(p.problems, Problem{0, fmt.Sprintf("holds %d directives, conditions in braces among them; at most %d are allowed", n, MaxRules)})
	}
	switch n, many := p.program.regexes(); {
	case n > MaxRegexes:
		p.problems = append(p.problems, Problem{0, fmt.Sprintf("holds %d regexes; at most %d are allowed: look long lists up in a Map", n, MaxRegexes)})
	case many > maxOften:
		p.problems = append(p.problems, Problem{0, fmt.Sprintf("holds %d replace-value and regsub with the flag g, which look at each part of a value; at most %d are allowed", many, maxOften)})
	}
	return p.program, p.problems
}

// Lists, Maps and Backends name what a program refers to, sorted, each once.
func (p *Program) Lists() []string {
	return p.named(func(add func(string)) {
		for _, s := range p.Statements {
			if s.ACL != nil {
				for _, list := range s.ACL.Lists {
					add(list)
				}
			}
		}
	})
}

// Maps names the Maps that converters look up.
func (p *Program) Maps() []string {
	return p.named(func(add func(string)) {
		p.exprs(func(e *Expr) {
			for _, c := range e.Converters {
				if c.Name == "map" {
					add(c.Args[0])
				}
			}
		})
	})
}

// Backends names those that requests are sent to.
func (p *Program) Backends() []string {
	return p.named(func(add func(string)) {
		for _, s := range p.Statements {
			if s.Rule != nil && s.Rule.Action == "route" {
				add(s.Rule.Words[0].Text)
			}
		}
	})
}

// regexes counts those of a program, and among them those that are held against many parts of one value.
func (p *Program) regexes() (n, many int) {
	for _, s := range p.Statements {
		switch {
		case s.ACL != nil && s.ACL.Match == "reg":
			n += len(s.ACL.Values)
		case s.Rule != nil && slices.Contains(actions[s.Rule.Action].words, aRegex):
			n++
			if often(s.Rule.Action, nil) {
				many++
			}
		}
	}
	p.exprs(func(e *Expr) {
		for _, c := range e.Converters {
			if !slices.Contains(converters[c.Name].args, aRegex) {
				continue
			}
			n++
			if often(c.Name, c.Args) {
				many++
			}
		}
	})
	return n, many
}

// often says that an action or converter holds its regex against many parts of one value.
func often(name string, args []string) bool {
	return name == "replace-value" || name == "regsub" && len(args) > 2 && strings.Contains(args[2], "g")
}

func (p *Program) named(walk func(add func(string))) []string {
	found := map[string]bool{}
	walk(func(name string) { found[name] = true })
	return slices.Sorted(maps.Keys(found))
}

func (p *Program) exprs(visit func(*Expr)) {
	operands := func(list []Operand) {
		for _, o := range list {
			if o.Expr != nil {
				visit(o.Expr)
			}
			for _, piece := range o.Format {
				if piece.Expr != nil {
					visit(piece.Expr)
				}
			}
		}
	}
	for _, s := range p.Statements {
		if s.ACL != nil {
			if s.ACL.Sample != nil {
				visit(s.ACL.Sample)
			}
			continue
		}
		operands(s.Rule.Words)
		for _, o := range s.Rule.Options {
			operands(o.Words)
		}
	}
}

func listed[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
