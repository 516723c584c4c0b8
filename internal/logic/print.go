package logic

import (
	"slices"
	"strings"
)

// Context is where a program is printed for.
type Context struct {
	// ACLs and Variables begin the names of acls and variables, so that they are nobody else's; "" leaves them as they are.
	ACLs, Variables string
	// Guard is an acl that must hold for requests, Answers one for answers; "" for none. With a '!' before it it must not.
	Guard, Answers string
	// Route gives the expression that txn.route is set to.
	Route func(backend string) string
	// List gives what tells whether a client is in an access list, Map the converter that looks a Map up. nil leaves
	// Weir's own words.
	List func(names []string) string
	Map  func(name string, otherwise *string) string
	// Regex gives a regex as it is written; often says that it is held against many parts of one value. nil leaves it.
	Regex func(regex string, often bool) string
}

// Line is one directive.
type Line struct {
	Text string
	// At is the line of the source.
	At int
	// Directive is acl, http-request, http-response or http-after-response.
	Directive string
}

// Print writes a program for HAProxy, each directive on one line.
func (p *Program) Print(c Context) []Line {
	lines := make([]Line, 0, len(p.Statements))
	for _, s := range p.Statements {
		if s.ACL != nil {
			lines = append(lines, Line{c.acl(s.ACL), s.Line, "acl"})
		} else {
			lines = append(lines, Line{c.rule(s.Rule), s.Line, s.Rule.Directive})
		}
	}
	return lines
}

// seam stands in text that somebody wrote where a word of Weir's own is, and becomes two quotes: who looks through a
// configuration for maps and lists finds those of Weir alone.
const seam = "\x00"

var seams = strings.NewReplacer("opt@", "opt"+seam+"@", "crt-list", "crt"+seam+"-list")

// Quote writes a word so that HAProxy reads just it.
func Quote(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "'", `'\''`), seam, "''") + "'"
}

// bare writes words of letters, digits and the like without quotes, and others in them.
func bare(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:=", r))
	}) < 0 {
		return s
	}
	return Quote(s)
}

func (c Context) aclName(name string) string {
	if _, own := built[name]; own || c.ACLs == "" {
		return name
	}
	return c.ACLs + "." + name
}

func (c Context) variable(name string) string {
	if c.Variables == "" {
		return name
	}
	scope, rest, _ := strings.Cut(name, ".")
	return scope + "." + c.Variables + "." + rest
}

func (c Context) acl(a *ACL) string {
	words := []string{"acl", c.aclName(a.Name)}
	if a.Sample == nil {
		if c.List == nil {
			return strings.Join(append(append(words, "client", "in"), a.Lists...), " ")
		}
		return strings.Join(append(words, c.List(a.Lists)), " ")
	}
	words = append(words, bare(c.expr(a.Sample)))
	if a.Fold {
		words = append(words, "-i")
	}
	if a.Match != "" {
		words = append(words, "-m", a.Match)
	}
	if len(a.Values) > 0 {
		words = append(words, "--")
	}
	for _, v := range a.Values {
		if a.Match == "reg" {
			v = c.regex(v, false)
		}
		words = append(words, bare(seams.Replace(v)))
	}
	return strings.Join(words, " ")
}

func (c Context) rule(r *Rule) string {
	words := []string{r.Directive}
	switch {
	case r.Action == "route" && c.Route != nil:
		words = append(words, "set-var(txn.route)", bare(c.Route(r.Words[0].Text)))
	case r.Variable != "":
		words = append(words, r.Action+"("+c.variable(r.Variable)+")")
		words = append(words, c.operands(r.Words)...)
	default:
		words = append(words, r.Action)
		words = append(words, c.operands(c.bounded(r))...)
	}
	for _, o := range r.Options {
		words = append(words, o.Name)
		words = append(words, c.operands(o.Words)...)
	}
	return strings.Join(append(words, c.when(r)...), " ")
}

// when puts the guard before each alternative of if; what is not to be when one of several holds is also not to be where
// the guard does not.
func (c Context) when(r *Rule) []string {
	guard := c.Guard
	if directives[r.Directive] != request {
		guard = c.Answers
	}
	if r.When == nil {
		if guard == "" {
			return nil
		}
		return []string{"if", guard}
	}
	words := []string{"if"}
	if r.When.Unless {
		words[0] = "unless"
		if guard != "" {
			if against, negated := strings.CutPrefix(guard, "!"); negated {
				words = append(words, against, "or")
			} else {
				words = append(words, "!"+guard, "or")
			}
		}
	}
	for i, terms := range r.When.Any {
		if i > 0 {
			words = append(words, "or")
		}
		if guard != "" && !r.When.Unless {
			words = append(words, guard)
		}
		for _, t := range terms {
			not := ""
			if t.Not {
				not = "!"
			}
			words = append(words, not+c.aclName(t.ACL))
		}
	}
	return words
}

// length is how many words a rule has with a guard.
func (r *Rule) length() int {
	n := 4 + len(r.Words)
	for _, o := range r.Options {
		n += 1 + len(o.Words)
	}
	if r.When != nil {
		for _, terms := range r.When.Any {
			n += 2 + len(terms)
		}
	}
	return n
}

// bounded gives the words of a rule with its regexes as they are written.
func (c Context) bounded(r *Rule) []Operand {
	list := slices.Clone(r.Words)
	for i := range list {
		if actions[r.Action].words[i] == aRegex {
			list[i].Text = c.regex(list[i].Text, often(r.Action, nil))
		}
	}
	return list
}

func (c Context) regex(s string, often bool) string {
	if c.Regex == nil {
		return s
	}
	return c.Regex(s, often)
}

func (c Context) operands(list []Operand) []string {
	words := make([]string, 0, len(list))
	for _, o := range list {
		switch {
		case o.Expr != nil:
			words = append(words, bare(c.expr(o.Expr)))
		case o.Format != nil:
			words = append(words, Quote(c.format(o.Format)))
		default:
			words = append(words, bare(seams.Replace(o.Text)))
		}
	}
	return words
}

func (c Context) format(pieces []Piece) string {
	var b strings.Builder
	for _, piece := range pieces {
		if piece.Expr != nil {
			b.WriteString("%[" + c.expr(piece.Expr) + "]")
		} else {
			b.WriteString(strings.ReplaceAll(seams.Replace(piece.Text), "%", "%%"))
		}
	}
	return b.String()
}

func (c Context) expr(e *Expr) string {
	parts := []string{c.call(e.Fetch, fetches)}
	for _, one := range e.Converters {
		if one.Name == "map" && c.Map != nil {
			var otherwise *string
			if len(one.Args) > 1 {
				otherwise = &one.Args[1]
			}
			parts = append(parts, c.Map(one.Args[0], otherwise))
			continue
		}
		parts = append(parts, c.call(one, converters))
	}
	return strings.Join(parts, ",")
}

func (c Context) call(one Call, list map[string]call) string {
	if len(one.Args) == 0 {
		return one.Name
	}
	args := make([]string, len(one.Args))
	for i, arg := range one.Args {
		if k := list[one.Name].args[i]; k == aVariable || k == aTerm && variable.MatchString(arg) {
			args[i] = c.variable(arg)
		} else if k == aRegex {
			args[i] = Argument(c.regex(arg, often(one.Name, one.Args)))
		} else {
			args[i] = Argument(arg)
		}
	}
	return one.Name + "(" + strings.Join(args, ",") + ")"
}

// Argument writes an argument of a fetch or converter so that HAProxy reads just it.
func Argument(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:", r))
	}) < 0 && !strings.Contains(s, "crt-list") {
		return s
	}
	return "'" + strings.ReplaceAll(seams.Replace(s), "'", `'"'"'`) + "'"
}
