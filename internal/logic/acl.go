package logic

import (
	"fmt"
	"slices"
	"strings"
)

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
