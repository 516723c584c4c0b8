package logic

import (
	"fmt"
	"strings"
)

// Raw is a text of an admin's: whatever HAProxy takes, each line guarded and its acls named apart, the rest as written.
type Raw struct {
	lines []rawLine
	acls  map[string]bool
}

type rawLine struct {
	at    int
	words []rawWord
	// when is the place of if or unless, the number of words for none.
	when int
}

// rawWord is a word as it is written, and without its quotes.
type rawWord struct{ written, read string }

// ParseRaw reads a text as far as it must be known to guard its lines.
func ParseRaw(text string) (*Raw, []Problem) {
	r := &Raw{acls: map[string]bool{}}
	var problems []Problem
	if len(text) > MaxText {
		return r, []Problem{{0, fmt.Sprintf("is %d bytes long; at most %d are allowed", len(text), MaxText)}}
	}
	at := 0
	for line := range strings.SplitSeq(text, "\n") {
		at++
		words, err := rawWords(strings.TrimSuffix(line, "\r"))
		if err != nil {
			problems = append(problems, Problem{at, err.Error()})
			continue
		}
		if len(words) == 0 {
			continue
		}
		first := words[0].read
		_, known := directives[first]
		switch {
		case first == "acl" && len(words) > 2:
			r.acls[words[1].read] = true
		case !known || len(words) < 2:
			problems = append(problems, Problem{at, fmt.Sprintf("begins with %q; a line begins with acl, http-request, http-response or http-after-response, and says something behind it", clip(first))})
		}
		l := rawLine{at: at, words: words, when: len(words)}
		for i, w := range words {
			if first != "acl" && i > 1 && (w.read == "if" || w.read == "unless") {
				l.when = i
				break
			}
		}
		r.lines = append(r.lines, l)
	}
	switch n := len(r.lines); {
	case n == 0 && len(problems) == 0:
		problems = append(problems, Problem{0, "holds no directive"})
	case n > MaxRules:
		problems = append(problems, Problem{0, fmt.Sprintf("holds %d directives; at most %d are allowed", n, MaxRules)})
	}
	return r, problems
}

// rawWords takes a line apart without changing anything.
func rawWords(line string) (words []rawWord, err error) {
	var read []byte
	begin, quote := -1, byte(0)
	end := func(i int) {
		if begin >= 0 {
			words = append(words, rawWord{line[begin:i], string(read)})
		}
		begin, read = -1, nil
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		if quote == 0 && c == '#' {
			end(i)
			return words, nil
		}
		if quote == 0 && (c == ' ' || c == '\t') {
			end(i)
			continue
		}
		if c < ' ' || c > '~' {
			return nil, fmt.Errorf("holds a character that is no printable ASCII, at byte %d; only comments may", i+1)
		}
		if begin < 0 {
			begin = i
		}
		switch {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && quote != '\'':
			if i++; i == len(line) {
				return nil, fmt.Errorf("ends with a backslash; each directive stands on one line")
			}
			read = append(read, line[i])
		default:
			read = append(read, c)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("has no end of what %c begins", quote)
	}
	end(len(line))
	return words, nil
}

// Print writes the lines with guards and with names of their own for acls.
func (r *Raw) Print(c Context) []Line {
	lines := make([]Line, 0, len(r.lines))
	for _, l := range r.lines {
		directive := l.words[0].read
		var words []string
		if directive == "acl" {
			words = append(words, "acl", c.aclName(l.words[1].read))
			for _, w := range l.words[2:] {
				words = append(words, w.written)
			}
		} else {
			for _, w := range l.words[:l.when] {
				words = append(words, w.written)
			}
			words = append(words, r.guarded(c, l)...)
		}
		lines = append(lines, Line{strings.Join(words, " "), l.at, directive})
	}
	return lines
}

func (r *Raw) guarded(c Context, l rawLine) []string {
	head := Rule{Directive: l.words[0].read}
	if l.when == len(l.words) {
		return c.when(&head)
	}
	head.When = &Condition{Unless: l.words[l.when].read == "unless"}
	words := c.when(&head) // if or unless, with the guard of unless
	guard := c.Guard
	if directives[head.Directive] != request {
		guard = c.Answers
	}
	begins, inside := true, false
	for _, w := range l.words[l.when+1:] {
		if begins && guard != "" && !head.When.Unless {
			words = append(words, guard)
		}
		begins = !inside && (w.read == "or" || w.read == "||")
		bare := strings.TrimLeft(w.read, "!")
		switch {
		case !inside && r.acls[bare]:
			words = append(words, strings.Repeat("!", len(w.read)-len(bare))+c.aclName(bare))
		default:
			words = append(words, w.written)
		}
		inside = inside && w.read != "}" || bare == "{"
	}
	return words
}
