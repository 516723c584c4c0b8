package logic

import (
	"fmt"
	"slices"
	"strings"
)

type parser struct {
	values   map[string]string
	objects  Objects
	header   func(string) error
	line     int
	problems []Problem
	program  *Program
	// acls are those that were declared, with the phases in which they can be asked.
	acls map[string]phase
	// words are those of the line that have not been read yet, in the phase of the rule.
	words []word
	in    phase
	where string
}

// next takes a word.
func (p *parser) next() (word, bool) {
	if len(p.words) == 0 {
		return word{}, false
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w, true
}

func (p *parser) directive(line string) error {
	var err error
	if p.words, err = split(line, p.values); err != nil {
		return err
	}
	first, ok := p.next()
	if !ok {
		return nil
	}
	if first.is("acl") {
		return p.acl()
	}
	p.where = first.String()
	if p.in, ok = directives[p.where]; !ok || first.data() {
		return fmt.Errorf("begins with %q; a line begins with acl, http-request, http-response or http-after-response", clip(p.where))
	}
	rule, err := p.rule()
	if err != nil {
		return err
	}
	rule.Directive = p.where
	p.program.Statements = append(p.program.Statements, Statement{Line: p.line, Rule: rule})
	return nil
}

// acl reads the declaration of a condition.
func (p *parser) acl() error {
	name, _ := p.next()
	if err := checkACLName(name); err != nil {
		return err
	}
	// It may be for any phase; in which it can be asked is known when it was read.
	p.in, p.where = 0, "acl"
	list := p.words
	p.words = nil
	return p.declare(name.String(), list)
}

func checkACLName(w word) error {
	s := w.String()
	ok := s != "" && !w.data() && len(s) <= 40 && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) < 0
	if _, taken := built[s]; !ok || taken || s == "or" || s == "if" || s == "unless" {
		return fmt.Errorf("%q can't name an acl: letters, digits, '-' and '_', at most 40, and none of HAProxy's own conditions", clip(s))
	}
	return nil
}

// declare adds an acl of the words behind its name.
func (p *parser) declare(name string, words []word) error {
	a, in, err := p.condition(words)
	if err != nil {
		return err
	}
	a.Name = name
	if was, ok := p.acls[name]; ok {
		in &= was
	}
	if in == 0 {
		return fmt.Errorf("the acl %s asks for something of requests and of answers, so that it can be asked nowhere; give it two names", name)
	}
	p.acls[name] = in
	p.program.Statements = append(p.program.Statements, Statement{Line: p.line, ACL: a})
	return nil
}

// when reads what is behind an action.
func (p *parser) when() (*Condition, error) {
	w, ok := p.next()
	if !ok {
		return nil, nil
	}
	c := &Condition{Unless: w.is("unless")}
	if !c.Unless && !w.is("if") {
		return nil, tooMany(w)
	}
	terms := []Term{}
	for len(p.words) > 0 {
		w, _ := p.next()
		if w.is("or") || w.is("||") {
			if len(terms) == 0 {
				return nil, fmt.Errorf("has no condition before %s", w)
			}
			c.Any, terms = append(c.Any, terms), []Term{}
			continue
		}
		t, err := p.term(w)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
	}
	if len(terms) == 0 {
		return nil, fmt.Errorf("has no condition at its end")
	}
	c.Any = append(c.Any, terms)
	return c, nil
}

func tooMany(w word) error {
	return fmt.Errorf("has %q too many, or what is before it is wrong; a condition begins with if or unless", clip(w.String()))
}

// term reads one condition, whose first word is given.
func (p *parser) term(w word) (Term, error) {
	var t Term
	for w.at(0, '!') {
		t.Not = !t.Not
		w.text, w.fixed = w.text[1:], w.fixed[1:]
		if len(w.text) == 0 {
			var ok bool
			if w, ok = p.next(); !ok {
				return t, fmt.Errorf("has a ! without a condition behind it")
			}
		}
	}
	if w.is("{") {
		end := slices.IndexFunc(p.words, func(w word) bool { return w.is("}") })
		if end < 0 {
			return t, fmt.Errorf("has no } for what { begins; there are blanks around both")
		}
		inside := p.words[:end]
		p.words = p.words[end+1:]
		t.ACL = p.unnamed()
		in, where := p.in, p.where
		if err := p.declare(t.ACL, inside); err != nil {
			return t, err
		}
		p.in, p.where = in, where
		return t, p.asked(t.ACL, p.acls[t.ACL])
	}
	t.ACL = w.String()
	if in, ok := built[t.ACL]; ok && !w.data() {
		return t, p.asked(t.ACL, in)
	}
	in, ok := p.acls[t.ACL]
	if !ok || w.data() {
		return t, fmt.Errorf("asks for %q, which is no acl that stands above", clip(t.ACL))
	}
	return t, p.asked(t.ACL, in)
}

func (p *parser) asked(name string, in phase) error {
	if in&p.in == 0 {
		if strings.HasPrefix(name, "_") {
			name = "its condition"
		}
		return fmt.Errorf("%s looks at what %s does not see; keep it in a variable: http-request set-var(txn.x) …", name, p.where)
	}
	return nil
}

// unnamed gives a name for a condition in braces.
func (p *parser) unnamed() string {
	for n := 1; ; n++ {
		name := fmt.Sprintf("_%d", n)
		if _, taken := p.acls[name]; !taken {
			return name
		}
	}
}

// rule reads an action and its condition.
func (p *parser) rule() (*Rule, error) {
	w, ok := p.next()
	if !ok {
		return nil, fmt.Errorf("%s needs an action", p.where)
	}
	r := &Rule{Action: w.String()}
	if name, variable, has := strings.Cut(r.Action, "("); has {
		r.Action, r.Variable = name, strings.TrimSuffix(variable, ")")
	}
	a, ok := actions[r.Action]
	switch {
	case !ok || w.data():
		return nil, fmt.Errorf("the action %q is not on the list, which is %s; an admin can write it as a raw Logic", clip(r.Action), listed(actions))
	case a.in&p.in == 0:
		return nil, fmt.Errorf("the action %s can't be done by %s", r.Action, p.where)
	case a.variable != (r.Variable != "") || a.variable && !strings.HasSuffix(w.String(), ")"):
		return nil, fmt.Errorf("%q is not how the action is written: variables stand in parentheses behind set-var, set-var-fmt and unset-var, and nothing behind others", clip(w.String()))
	}
	if a.variable {
		if err := checkVariable(r.Variable, p.in); err != nil {
			return nil, err
		}
	}
	for _, k := range a.words {
		o, err := p.operand(r.Action, k)
		if err != nil {
			return nil, err
		}
		r.Words = append(r.Words, o)
	}
	if err := p.options(r, a); err != nil {
		return nil, err
	}
	var err error
	if r.When, err = p.when(); err != nil {
		return nil, err
	}
	if n := r.length(); n > maxWords {
		return nil, fmt.Errorf("is %d words long when it is printed, and HAProxy takes %d; give parts of the condition names with acl", n, maxWords)
	}
	return r, nil
}

// options reads keywords with what follows them.
func (p *parser) options(r *Rule, a action) error {
	seen := map[string]bool{}
	for len(p.words) > 0 {
		w := p.words[0]
		kinds, ok := a.options[w.String()]
		if !ok || w.data() {
			break
		}
		p.words = p.words[1:]
		o := Option{Name: w.String()}
		if seen[o.Name] && o.Name != a.several {
			return fmt.Errorf("%s has %s twice", r.Action, o.Name)
		}
		seen[o.Name] = true
		for _, k := range kinds {
			word, err := p.operand(o.Name, k)
			if err != nil {
				return err
			}
			o.Words = append(o.Words, word)
		}
		r.Options = append(r.Options, o)
	}
	if len(p.words) > 0 && !p.words[0].is("if") && !p.words[0].is("unless") {
		return tooMany(p.words[0])
	}
	one := 0
	for _, name := range a.one {
		if seen[name] {
			one++
		}
	}
	switch {
	case len(a.one) > 0 && one != 1:
		return fmt.Errorf("%s needs one of %s", r.Action, strings.Join(a.one, ", "))
	case seen["string"] && seen["lf-string"]:
		return fmt.Errorf("%s has both string and lf-string", r.Action)
	case (seen["string"] || seen["lf-string"]) != seen["content-type"]:
		return fmt.Errorf("%s needs a content-type with its string or lf-string, and only then", r.Action)
	case seen["content-type"] && r.bodyless():
		return fmt.Errorf("%s: an answer of status 204 or 304 has no body; leave out content-type and what follows it", r.Action)
	}
	return nil
}

// bodyless says that the status of an answer is one of those that have no body.
func (r *Rule) bodyless() bool {
	return slices.ContainsFunc(r.Options, func(o Option) bool {
		return o.Name == "status" && (o.Words[0].Text == "204" || o.Words[0].Text == "304")
	})
}

// operand reads a word of an action.
func (p *parser) operand(of string, k kind) (Operand, error) {
	var o Operand
	w, ok := p.next()
	if !ok {
		return o, fmt.Errorf("%s needs %s behind it", of, k)
	}
	if len(w.text) == 0 {
		return o, fmt.Errorf("%s needs %s behind it, and this is empty, which HAProxy does not take", of, k)
	}
	var err error
	switch k {
	case anExpr:
		o.Expr, err = p.whole(w)
	case aFormat:
		o.Format, err = p.format(w)
	case aHeader:
		o.Text = strings.ToLower(w.String())
		if err = checkToken(o.Text); err == nil && p.header != nil {
			err = p.header(o.Text)
		}
	default:
		o.Text = w.String()
		err = checkWord(o.Text, k)
	}
	if err != nil {
		return o, fmt.Errorf("%s: %w", of, err)
	}
	return o, nil
}
