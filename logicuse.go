package weir

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/logic"
)

// LogicUse names a Logic with the values of its parameters. It is written as the name alone where there are none.
type LogicUse struct {
	Name string                `json:"name"`
	With map[string]LogicValue `json:"with,omitempty"`
}

// LogicValue is a text, a number or a truth value, or it names an AccessList or a Map, so that who refers to those is known
// from whoever gives the value.
type LogicValue struct {
	Text       string `json:"-"`
	AccessList string `json:"accessList,omitempty"`
	Map        string `json:"map,omitempty"`
}

// LogicText gives the value that is a text, a number or a truth value.
func LogicText(s string) LogicValue { return LogicValue{Text: s} }

// MarshalJSON writes numbers and truth values as they are.
func (v LogicValue) MarshalJSON() ([]byte, error) {
	switch {
	case v.AccessList != "" || v.Map != "":
		return json.Marshal(logicValueFields(v))
	case v.Text == "true" || v.Text == "false":
		return []byte(v.Text), nil
	}
	if n, err := strconv.ParseInt(v.Text, 10, 32); err == nil && strconv.FormatInt(n, 10) == v.Text {
		return []byte(v.Text), nil
	}
	return json.Marshal(v.Text)
}

// UnmarshalJSON reads either.
func (v *LogicValue) UnmarshalJSON(raw []byte) error {
	*v = LogicValue{}
	switch {
	case len(raw) > 0 && raw[0] == '"':
		return json.Unmarshal(raw, &v.Text)
	case len(raw) > 0 && raw[0] == '{':
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.DisallowUnknownFields()
		return d.Decode((*logicValueFields)(v))
	case len(raw) == 0 || raw[0] == '[' || raw[0] == 'n':
		return fmt.Errorf("must be a text, a number, true or false, {accessList: NAME} or {map: NAME}")
	}
	v.Text = string(raw)
	return nil
}

func (v LogicValue) references(list []Reference, path string) []Reference {
	return optional(optional(list, path, "AccessList", v.AccessList), path, "Map", v.Map)
}

// MarshalJSON writes the short form where there are no values.
func (u LogicUse) MarshalJSON() ([]byte, error) {
	if len(u.With) == 0 {
		return json.Marshal(u.Name)
	}
	return json.Marshal(logicUseFields(u))
}

// UnmarshalJSON reads either form.
func (u *LogicUse) UnmarshalJSON(raw []byte) error {
	*u = LogicUse{}
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &u.Name)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	return d.Decode((*logicUseFields)(u))
}

// read gives what a value is in the text.
func (t LogicParameter) read(v LogicValue) (string, error) {
	s := v.Text
	switch {
	case t.Type == ParameterAccessList && v == LogicValue{AccessList: v.AccessList}:
		return v.AccessList, CheckName(v.AccessList)
	case t.Type == ParameterMap && v == LogicValue{Map: v.Map}:
		return v.Map, CheckName(v.Map)
	case t.Type == ParameterAccessList || t.Type == ParameterMap:
		return "", fmt.Errorf("is of type %s and must be written {%s: NAME}", t.Type, t.Type)
	case v != LogicText(s):
		return "", fmt.Errorf("is of type %s and must be a single value", t.Type)
	}
	switch t.Type {
	case ParameterInt:
		if n, err := strconv.ParseInt(s, 10, 32); err != nil || strconv.FormatInt(n, 10) != s {
			return "", fmt.Errorf("%q is no whole number of 32 bits", clip(s))
		}
	case ParameterBool:
		if s != "true" && s != "false" {
			return "", fmt.Errorf("%q is neither true nor false", clip(s))
		}
	case ParameterDuration:
		var d Duration
		if err := d.UnmarshalText([]byte(s)); err != nil {
			return "", err
		}
		if d < 0 || d.D()%time.Second != 0 || d.D() > 100*365*24*time.Hour {
			return "", fmt.Errorf("%s must be whole seconds", clip(s))
		}
		return strconv.FormatInt(int64(d.D()/time.Second), 10), nil
	case ParameterBackend:
		if err := CheckName(s); err != nil {
			return "", err
		}
	default:
		if len(s) > 1024 || strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			return "", fmt.Errorf("may hold only printable ASCII, at most 1024 bytes")
		}
	}
	return s, nil
}

// note adds what a value of the parameter names.
func (t LogicParameter) note(objects *logic.Objects, value string) {
	switch t.Type {
	case ParameterAccessList:
		objects.Lists = append(objects.Lists, value)
	case ParameterMap:
		objects.Maps = append(objects.Maps, value)
	}
}

// SameLogic says that two lists name the same with the same values.
func SameLogic(a, b []LogicUse) bool {
	return slices.EqualFunc(a, b, func(x, y LogicUse) bool { return x.Name == y.Name && maps.Equal(x.With, y.With) })
}

// validateLogic checks what a site or pool says of its logic.
func validateLogic(p *Problems, mode string, list []LogicUse) {
	if mode != "http" && len(list) > 0 {
		p.Add("logic", "is of requests and answers, and needs mode http")
	}
	if len(list) > MostLogic {
		p.Add("logic", "names %d; at most %d are allowed", len(list), MostLogic)
	}
	for i, use := range list {
		required(p, index("logic", i)+".name", use.Name)
		if len(use.With) > mostParameters {
			p.Add(index("logic", i)+".with", "holds %d values; at most %d are allowed", len(use.With), mostParameters)
		}
	}
}

func logicReferences(list []Reference, uses []LogicUse) []Reference {
	for i, use := range uses {
		list = optional(list, index("logic", i), "Logic", use.Name)
		for _, name := range sortedKeys(use.With) {
			list = use.With[name].references(list, index("logic", i)+".with."+name)
		}
	}
	return list
}
