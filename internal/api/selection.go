package api

import (
	"encoding/base64"
	"strings"

	"weir"
)

// selection chooses among a kind's objects.
type selection struct {
	role   string
	prefix string
	labels []labelTerm
}

// labelTerm is one condition of a label selector: k=v, k!=v, k or !k.
type labelTerm struct {
	key, value string
	any, not   bool
}

func (c *call) selection() (selection, error) {
	s := selection{role: c.text("role"), prefix: c.text("prefix")}
	for _, term := range strings.Split(c.text("labels"), ",") {
		if term == "" {
			continue
		}
		t, ok := parseTerm(term)
		if !ok {
			return s, queryProblem("labels", c.text("labels"), "terms such as team=media, team!=media, team or !team, with commas between")
		}
		s.labels = append(s.labels, t)
	}
	return s, nil
}

func parseTerm(text string) (labelTerm, bool) {
	var t labelTerm
	key, value, equals := strings.Cut(text, "=")
	t.key, t.value, t.any = key, value, !equals
	if equals {
		t.key, t.not = strings.CutSuffix(key, "!")
	} else {
		t.key, t.not = strings.CutPrefix(key, "!")
	}
	return t, t.key != "" && weir.CheckText(t.key) == nil && (t.value == "" || weir.CheckText(t.value) == nil)
}

func (s *selection) takes(o *weir.Object) bool {
	if o == nil || s.role != "" && o.Metadata.Role != s.role || !strings.HasPrefix(o.Metadata.Name, s.prefix) {
		return false
	}
	for _, t := range s.labels {
		value, there := o.Metadata.Labels[t.key]
		if (there && (t.any || value == t.value)) == t.not {
			return false
		}
	}
	return true
}

// The mark of a page is the last name on it, wrapped so that nobody builds one.
func encodeMark(name string) string { return base64.RawURLEncoding.EncodeToString([]byte("1" + name)) }

func decodeMark(mark string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(mark)
	if err != nil || len(raw) < 2 || raw[0] != '1' || weir.CheckName(string(raw[1:])) != nil {
		return "", queryProblem("continue", mark, "what the page before gave")
	}
	return string(raw[1:]), nil
}
