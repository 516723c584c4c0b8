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
