package logic

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// whole reads a word that is one expression.
func (p *parser) whole(w word) (*Expr, error) {
	e, end, _, err := p.expr(w, 0, p.in, "")
	if err == nil && end < len(w.text) {
		err = fmt.Errorf("has %q behind an expression", clip(string(w.text[end:])))
	}
	return e, err
}

// format reads text in which expressions stand as %[…].
func (p *parser) format(w word) ([]Piece, error) {
	var list []Piece
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			list = append(list, Piece{Text: string(literal)})
			literal = nil
		}
	}
	for i := 0; i < len(w.text); i++ {
		switch {
		case !w.at(i, '%'):
			literal = append(literal, w.text[i])
		case w.at(i+1, '%'):
			literal = append(literal, '%')
			i++
		case w.at(i+1, '['):
			flush()
			e, end, _, err := p.expr(w, i+2, p.in, "]")
			if err != nil {
				return nil, err
			}
			if !w.at(end, ']') {
				return nil, fmt.Errorf("has no ] behind %q", clip(string(w.text[i:])))
			}
			list = append(list, Piece{Expr: e})
			i = end
		default:
			return nil, fmt.Errorf("%q is neither %%[…] nor %%%%, which stands for the sign itself", clip(string(w.text[i:])))
		}
	}
	flush()
	if n := len(literal); n > 1024 {
		return nil, fmt.Errorf("is longer than 1024 bytes")
	}
	return list, nil
}

// expr reads an expression from a byte of a word on, up to where it ends. in are the phases that it may be for, out is the
// type of what it gives.
func (p *parser) expr(w word, i int, in phase, stop string) (e *Expr, end int, out value, err error) {
	e = &Expr{}
	for first := true; ; first = false {
		var c Call
		given := false // whether a parameter brings some of the first argument
		if c, given, i, err = callAt(w, i); err != nil {
			return nil, 0, "", err
		}
		if c.Name == "map" && given && !slices.Contains(p.objects.Maps, c.Args[0]) {
			return nil, 0, "", fmt.Errorf("map takes a parameter of type map alone, with no more to the name: of others nobody would be known to refer to the Map")
		}
		list, what := converters, "converter"
		if first {
			list, what = fetches, "fetch"
			if to := aliases[c.Name]; to != "" {
				c.Name = to
			}
		}
		known, ok := list[c.Name]
		if !ok {
			return nil, 0, "", fmt.Errorf("the %s %q is not on the list, which is %s; an admin can write it in a raw Logic", what, clip(c.Name), listed(list))
		}
		if first && in != 0 && known.in&in == 0 {
			return nil, 0, "", fmt.Errorf("%s can't be seen by %s; keep it in a variable: http-request set-var(txn.x) %s", c.Name, p.where, c.Name)
		}
		if err := p.args(c, known, in); err != nil {
			return nil, 0, "", fmt.Errorf("%s: %w", c.Name, err)
		}
		if first {
			e.Fetch = c
		} else {
			e.Converters = append(e.Converters, c)
		}
		out = known.out
		for stop != "" && w.at(i, ' ') {
			i++
		}
		if !w.at(i, ',') {
			return e, i, out, nil
		}
		i++
	}
}

// callAt reads a name and, if there are any, arguments in parentheses. given says that a parameter brought some of the first.
func callAt(w word, i int) (c Call, given bool, end int, err error) {
	for w.at(i, ' ') {
		i++
	}
	begin := i
	for i < len(w.text) && !w.fixed[i] && nameByte(w.text[i]) {
		i++
	}
	c.Name = string(w.text[begin:i])
	if c.Name == "" {
		return c, false, 0, fmt.Errorf("has %q where a fetch or a converter must be", clip(string(w.text[begin:])))
	}
	if !w.at(i, '(') {
		return c, false, i, nil
	}
	var arg []byte
	quote, quoted := byte(0), false
	for i++; i < len(w.text); i++ {
		b := w.text[i]
		switch {
		case w.fixed[i]:
			arg = append(arg, b)
			given = given || len(c.Args) == 0
		case b == quote:
			quote = 0
		case quote == 0 && (b == '"' || b == '\''):
			quote, quoted = b, true
		case b == '\\' && quote != '\'' && i+1 < len(w.text) && !w.fixed[i+1] && strings.IndexByte(`\"', `, w.text[i+1]) >= 0:
			i++
			arg = append(arg, w.text[i])
		case quote == 0 && (b == ',' || b == ')'):
			if b == ',' || len(arg) > 0 || quoted || len(c.Args) > 0 {
				c.Args = append(c.Args, string(arg))
			}
			arg, quoted = nil, false
			if b == ')' {
				return c, given, i + 1, nil
			}
		default:
			arg = append(arg, b)
		}
	}
	return c, false, 0, fmt.Errorf("has no ) behind %s(", c.Name)
}

func nameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '_' || b == '.'
}

// args checks the arguments of a call.
func (p *parser) args(c Call, known call, in phase) error {
	if n := len(c.Args); n < known.must || n > len(known.args) {
		return fmt.Errorf("has %d arguments; it takes %d to %d", n, known.must, len(known.args))
	}
	for i, arg := range c.Args {
		if k := known.args[i]; k == aVariable || k == aTerm && strings.Contains(arg, ".") {
			if err := checkVariable(arg, in); err != nil {
				return err
			}
		} else if err := checkWord(arg, known.args[i]); err != nil {
			return err
		}
	}
	return nil
}

var (
	variable  = regexp.MustCompile(`^(txn|req|res)\.([A-Za-z_][A-Za-z0-9_.]{0,31})$`)
	tokenWord = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	objName   = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$`)
	mediaType = regexp.MustCompile(`^[a-z0-9.+-]+/[a-z0-9.+-]+(?:; ?[a-z]+=[A-Za-z0-9-]+)?$`)
)

// checkVariable takes variables of the transaction, the request and the answer: they are printed under a name of the
// logic's own, so that it meets none of anybody else.
func checkVariable(name string, in phase) error {
	m := variable.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("%q is not %s", clip(name), aVariable)
	}
	if in != 0 && (m[1] == "req" && in&request == 0 || m[1] == "res" && in&answers == 0) {
		return fmt.Errorf("%s does not live there; take txn.%s", name, m[2])
	}
	return nil
}

func checkToken(s string) error {
	if !tokenWord.MatchString(s) {
		return fmt.Errorf("%q may hold only letters, digits, '.', '-' and '_', at most 64", clip(s))
	}
	return nil
}

var refusals = strings.Fields("400 401 403 404 405 407 408 410 413 421 422 425 429 500 501 502 503 504")

// checkWord says why s is not of a kind.
func checkWord(s string, k kind) error {
	ok, n := true, 0
	number := func(low, high int) bool {
		var err error
		n, err = strconv.Atoi(s)
		return err == nil && n >= low && n <= high && strconv.Itoa(n) == s
	}
	switch k {
	case anInt, aTerm:
		ok = number(-1<<31, 1<<31-1)
	case aPart:
		ok = number(0, 1000)
	case aMask:
		ok = number(0, 128)
	case aStatus:
		ok = number(200, 599)
	case aRefusal:
		ok = slices.Contains(refusals, s)
	case aRedirect:
		ok = number(301, 308) && n != 304 && n != 305 && n != 306
	case aString:
		ok = len(s) <= 1024
	case aRegex:
		if ok = s != "" && len(s) <= 512; ok {
			return nil
		}
	case aDelimiter:
		ok = s != "" && len(s) <= 8
	case aName:
		return checkToken(s)
	case aMap, aBackend:
		ok = objName.MatchString(s)
	case aType:
		ok = mediaType.MatchString(s) && len(s) <= 100
	case aFlags:
		ok = s == "g" || s == "i" || s == "gi"
	}
	if !ok {
		return fmt.Errorf("%q is not %s", clip(s), k)
	}
	return nil
}

var (
	compared = []string{"eq", "ge", "gt", "le", "lt"}
	aRange   = regexp.MustCompile(`^-?[0-9]{1,10}(?::-?[0-9]{1,10})?$`)
	aMethod  = regexp.MustCompile(`^[A-Z]{3,12}$`)
)
