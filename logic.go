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

// Logic is business logic in HAProxy's own words, for the sites and pools that name it. It is read into a tree of actions,
// fetches and converters that are on a list, and printed anew from that, each directive for those sites and pools alone;
// docs/logic.md has the list. Sites with logic have their paths brought into their normal form first.
type Logic struct {
	Description string `json:"description,omitempty"`
	// Parameters are what the text says as ${name}: data, whatever is in it, each {type: …, default: …, description: …}. A type
	// is string, int, bool, duration, which the text has in whole seconds, or backend, which is one of the site's; without
	// a default a value must be given. Besides them there are ${site} where a Site names the logic, ${pool} where a Pool
	// does, and ${zone}, that of the load balancer.
	Parameters map[string]LogicParameter `json:"parameters,omitempty"`
	// Text are lines that begin with http-request, http-response, http-after-response, acl or #. A change is a reload.
	Text string `json:"text"`
	// Raw lets HAProxy alone say what the text may hold, without parameters: files and all. Only an admin can write it.
	Raw bool `json:"raw,omitempty"`
}

// LogicParameter is one value that who names the logic can give.
type LogicParameter struct {
	// Type is string, int, bool, duration, which the text has in whole seconds, or backend, which is one of the site's.
	Type string `json:"type"`
	// Default is the value where none is given; without it one must be given.
	Default     *LogicValue `json:"default,omitempty"`
	Description string      `json:"description,omitempty"`
}

// LogicUse names a Logic with the values of its parameters. It is written as the name alone where there are none.
type LogicUse struct {
	Name string                `json:"name"`
	With map[string]LogicValue `json:"with,omitempty"`
}

// LogicValue is a text, a number or a truth value.
type LogicValue string

// MostLogic is how many Logics a site or pool can have, and mostParameters how many values one takes.
const (
	MostLogic      = 8
	mostParameters = 32
)

// The types of parameters.
const (
	ParameterString   = "string"
	ParameterInt      = "int"
	ParameterBool     = "bool"
	ParameterDuration = "duration"
	ParameterBackend  = "backend"
)

// MarshalJSON writes numbers and truth values as they are.
func (v LogicValue) MarshalJSON() ([]byte, error) {
	n, err := strconv.ParseInt(string(v), 10, 32)
	if v == "true" || v == "false" || err == nil && strconv.FormatInt(n, 10) == string(v) {
		return []byte(v), nil
	}
	return json.Marshal(string(v))
}

// UnmarshalJSON reads either.
func (v *LogicValue) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(v))
	}
	if len(raw) == 0 || strings.IndexByte("{[n", raw[0]) >= 0 {
		return fmt.Errorf("must be a text, a number, true or false")
	}
	*v = LogicValue(raw)
	return nil
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

// LogicContext is what a Logic is printed for; Site or Pool is empty.
type LogicContext struct{ Site, Pool, Zone string }

// Normalize does nothing: what is written is kept.
func (l *Logic) Normalize() {}

// Validate reads the text with the defaults of the parameters, or a plain value of the type.
func (l *Logic) Validate(p *Problems) {
	prose(p, "description", l.Description, 500)
	if len(l.Parameters) > mostParameters {
		p.Add("parameters", "are %d; at most %d are allowed", len(l.Parameters), mostParameters)
	}
	found := len(p.list)
	for _, name := range sortedKeys(l.Parameters) {
		path, is := "parameters."+clip(name), l.Parameters[name]
		if err := CheckName(name); err != nil {
			p.Add(path, "the name %s", err)
		}
		if name == "site" || name == "pool" || name == "zone" {
			p.Add(path, "is what the logic is told anyway; take another name")
		}
		oneOf(p, path+".type", is.Type, ParameterString, ParameterInt, ParameterBool, ParameterDuration, ParameterBackend)
		prose(p, path+".description", is.Description, 500)
		if is.Default != nil && len(p.list) == found {
			if _, err := is.read(*is.Default); err != nil {
				p.Add(path+".default", "%s", err)
			}
		}
	}
	switch {
	case len(p.list) > found:
		return
	case l.Raw && len(l.Parameters) > 0:
		p.Add("parameters", "are for text that is read; a raw one has none")
	case l.Raw:
		_, problems := logic.ParseRaw(l.Text)
		addLogic(p, problems)
	default:
		_, problems := l.sample()
		addLogic(p, problems)
	}
}

func addLogic(p *Problems, problems []logic.Problem) {
	for _, problem := range problems {
		p.Add("text", "%s", problem)
	}
}

// sample reads the text with values that are there or would be usual.
func (l *Logic) sample() (*logic.Program, []logic.Problem) {
	values := map[string]string{"site": "site", "pool": "pool", "zone": "zone"}
	for name, is := range l.Parameters {
		values[name] = map[string]string{ParameterString: "x", ParameterInt: "1", ParameterBool: "true", ParameterDuration: "1", ParameterBackend: "default"}[is.Type]
		if is.Default != nil {
			values[name], _ = is.read(*is.Default)
		}
	}
	return logic.Parse(l.Text, values, CheckChangedHeader)
}

// read gives what a value is in the text.
func (t LogicParameter) read(v LogicValue) (string, error) {
	s := string(v)
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

// References are the AccessLists and Maps that the text names.
func (l *Logic) References() (list []Reference) {
	if l.Raw {
		return nil
	}
	program, _ := l.sample()
	for _, name := range program.Lists() {
		list = optional(list, "text", "AccessList", name)
	}
	for _, name := range program.Maps() {
		list = optional(list, "text", "Map", name)
	}
	return list
}

// Bind reads the text for one site or pool. The problems have paths below the use: with.NAME, or none for the text.
func (l *Logic) Bind(with map[string]LogicValue, c LogicContext) (*LogicProgram, []Problem) {
	var p Problems
	if l.Raw {
		for _, name := range sortedKeys(with) {
			p.Add("with."+clip(name), "is no parameter: the logic is raw and has none")
		}
		raw, problems := logic.ParseRaw(l.Text)
		addLogic(&p, problems)
		return &LogicProgram{raw: raw}, p.List()
	}
	values := map[string]string{"zone": c.Zone}
	if c.Site != "" {
		values["site"] = c.Site
	} else {
		values["pool"] = c.Pool
	}
	for _, name := range sortedKeys(with) {
		if _, ok := l.Parameters[name]; !ok {
			p.Add("with."+clip(name), "is no parameter of the logic; it has %s", strings.Join(append(sortedKeys(l.Parameters), "no others"), ", "))
		}
	}
	for _, name := range sortedKeys(l.Parameters) {
		is := l.Parameters[name]
		v, given := with[name]
		if !given && is.Default == nil {
			p.Add("with."+clip(name), "needs a value: it has no default")
			continue
		}
		if !given {
			v = *is.Default
		}
		s, err := is.read(v)
		if err != nil {
			p.Add("with."+clip(name), "%s", err)
		}
		values[name] = s
	}
	if len(p.List()) > 0 {
		return nil, p.List()
	}
	program, problems := logic.Parse(l.Text, values, CheckChangedHeader)
	for _, problem := range problems {
		p.Add("", "its text is refused with these values: %s", problem)
	}
	if c.Site == "" && len(program.Backends()) > 0 {
		p.Add("", "its text sends requests to a backend, which is for logic of a Site")
	}
	return &LogicProgram{program: program}, p.List()
}

// LogicProgram is a Logic as it was read for one site or pool.
type LogicProgram struct {
	program *logic.Program
	raw     *logic.Raw
}

// Backends names those that requests are sent to.
func (p *LogicProgram) Backends() []string {
	if p.raw != nil {
		return nil
	}
	return p.program.Backends()
}

// Lists and Maps name what is looked up.
func (p *LogicProgram) Lists() []string {
	if p.raw != nil {
		return nil
	}
	return p.program.Lists()
}

// Maps names the Maps that are looked up.
func (p *LogicProgram) Maps() []string {
	if p.raw != nil {
		return nil
	}
	return p.program.Maps()
}

// Print writes the lines for HAProxy.
func (p *LogicProgram) Print(c logic.Context) []logic.Line {
	if p.raw != nil {
		return p.raw.Print(c)
	}
	return p.program.Print(c)
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
	}
	return list
}
