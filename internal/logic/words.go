package logic

import (
	"fmt"
	"strings"
)

// word is a word of a line with its quotes taken off. A byte that a parameter brought is data, whatever it is: fixed tells
// which those are.
type word struct {
	text  []byte
	fixed []bool
}

func (w *word) add(s string, fixed bool) {
	for i := range len(s) {
		w.text = append(w.text, s[i])
		w.fixed = append(w.fixed, fixed)
	}
}

// String gives the text.
func (w word) String() string { return string(w.text) }

// is says that the word stands in the text itself: what a parameter brings is never a keyword.
func (w word) is(keyword string) bool {
	return string(w.text) == keyword && !w.data()
}

// data says that a parameter brought some of the word.
func (w word) data() bool {
	for _, f := range w.fixed {
		if f {
			return true
		}
	}
	return false
}

// at says that a byte stands in the text itself.
func (w word) at(i int, c byte) bool { return i < len(w.text) && w.text[i] == c && !w.fixed[i] }

// plain says that a word's bytes can all be printed.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// split takes a line apart as HAProxy does (configuration.txt, 2.2), with parameters in place of the environment: quotes,
// backslashes, and comments.
func split(line string, values map[string]string) ([]word, error) {
	var words []word
	var w word
	begun, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\t' && quote == 0:
			c = ' '
			fallthrough
		case c == ' ' && quote == 0:
			if begun {
				words = append(words, w)
			}
			w, begun = word{}, false
			continue
		case c < ' ' || c > '~':
			return nil, fmt.Errorf("holds a character that is no printable ASCII, at byte %d; only comments may", i+1)
		case quote == 0 && c == '#':
			i = len(line)
			continue
		case c == quote:
			quote = 0
			continue
		case quote == 0 && (c == '"' || c == '\''):
			quote, begun = c, true
			continue
		case c == '\\' && quote != '\'':
			n, err := escape(&w, line[i:], quote)
			if err != nil {
				return nil, err
			}
			i += n
		case c == '$' && quote != '\'' && (quote == '"' || strings.HasPrefix(line[i:], "${")):
			n, err := parameter(&w, line[i:], values)
			if err != nil {
				return nil, err
			}
			i += n
		default:
			w.add(string(c), false)
		}
		begun = true
	}
	if quote != 0 {
		return nil, fmt.Errorf("has no end of what %c begins", quote)
	}
	if begun {
		words = append(words, w)
	}
	return words, nil
}

// escape reads a backslash, and says how many bytes more it took.
func escape(w *word, rest string, quote byte) (int, error) {
	if len(rest) < 2 {
		return 0, fmt.Errorf(`ends with a backslash; each directive stands on one line`)
	}
	switch c := rest[1]; {
	case c == 'n' || c == 'r' || c == 't' || c == 'x':
		return 0, fmt.Errorf(`holds \%c, which HAProxy would read as a control character; in a regex write the part in single quotes`, c)
	case strings.IndexByte(`\"#`, c) >= 0, quote == 0 && (c == ' ' || c == '\''), quote == '"' && c == '$':
		w.add(rest[1:2], false)
		return 1, nil
	}
	w.add(`\`, false) // as in \., which is for a regex to read
	return 0, nil
}

// parameter reads ${name}, and says how many bytes more it took.
func parameter(w *word, rest string, values map[string]string) (int, error) {
	name, _, closed := strings.Cut(strings.TrimPrefix(rest[1:], "{"), "}")
	if !strings.HasPrefix(rest, "${") || !closed {
		if len(rest) > 1 && (rest[1] == '{' || rest[1] == '_' || rest[1]|0x20 >= 'a' && rest[1]|0x20 <= 'z') {
			return 0, fmt.Errorf("holds %q: there is no environment here; a parameter is written ${name}", clip(rest))
		}
		w.add("$", false)
		return 0, nil
	}
	value, ok := values[name]
	if !ok {
		return 0, fmt.Errorf("names the parameter %q, which is not declared; there are %s", clip(name), listed(values))
	}
	if !plain(value) {
		return 0, fmt.Errorf("gets a value for %s that is no printable ASCII", clip(name))
	}
	w.add(value, true)
	return len(name) + 2, nil
}

func clip(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return s
}
