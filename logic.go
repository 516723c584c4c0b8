package weir

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/logic"
)

// Logic is business logic in HAProxy's own words, for the sites and pools that name it. It is read into a tree of actions,
// fetches and converters that are on a list, and printed anew from that, each directive for those sites and pools alone;
// docs/logic.md has the list. Sites with logic have their paths brought into their normal form first.
type Logic struct {
	Description string `json:"description,omitempty"`
	// Parameters are what the text says as ${name}: data, whatever is in it, each {type: …, default: …, description: …}. A type
	// is string, int, bool, duration, which the text has in whole seconds, backend, which is one of the site's, accessList or map,
	// whose values are written {accessList: NAME} and {map: NAME}; without a default a value must be given. Besides them there are ${site} where a Site names the logic, ${pool} where a Pool
	// does, and ${zone}, that of the load balancer.
	Parameters map[string]LogicParameter `json:"parameters,omitempty"`
	// Text are lines that begin with http-request, http-response, http-after-response, acl or #. A change is a reload.
	Text string `json:"text"`
	// Raw lets HAProxy alone say what the text may hold, without parameters: files and all. Only an admin can write it.
	Raw bool `json:"raw,omitempty"`
}

// LogicParameter is one value that who names the logic can give.
type LogicParameter struct {
	// Type is string, int, bool, duration, which the text has in whole seconds, backend, which is one of the site's, or
	// accessList or map, which client in and map() of the text take.
	Type string `json:"type"`
	// Default is the value where none is given; without it one must be given.
	Default     *LogicValue `json:"default,omitempty"`
	Description string      `json:"description,omitempty"`
}

// MostLogic is how many Logics a site or pool can have, and mostParameters how many values one takes.
const (
	MostLogic      = 8
	mostParameters = 32
)

// The types of parameters.
const (
	ParameterString     = "string"
	ParameterInt        = "int"
	ParameterBool       = "bool"
	ParameterDuration   = "duration"
	ParameterBackend    = "backend"
	ParameterAccessList = "accessList"
	ParameterMap        = "map"
)

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
		oneOf(p, path+".type", is.Type, ParameterString, ParameterInt, ParameterBool, ParameterDuration, ParameterBackend, ParameterAccessList, ParameterMap)
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
		_, _, problems := l.sample()
		addLogic(p, problems)
	}
}

func addLogic(p *Problems, problems []logic.Problem) {
	for _, problem := range problems {
		p.Add("text", "%s", problem)
	}
}

// sample reads the text with values that are there or would be usual. standIn is what stands for an AccessList or a Map that
// only who names the logic says.
func (l *Logic) sample() (program *logic.Program, standIn string, problems []logic.Problem) {
	for n := 0; standIn == "" || strings.Contains(l.Text, standIn); n++ {
		standIn = fmt.Sprintf("x%d", n)
	}
	values := map[string]string{"site": "site", "pool": "pool", "zone": "zone"}
	var objects logic.Objects
	for name, is := range l.Parameters {
		values[name] = map[string]string{
			ParameterString: "x", ParameterInt: "1", ParameterBool: "true", ParameterDuration: "1", ParameterBackend: "default",
			ParameterAccessList: standIn, ParameterMap: standIn,
		}[is.Type]
		if is.Default != nil {
			values[name], _ = is.read(*is.Default)
		}
		is.note(&objects, values[name])
	}
	program, problems = logic.Parse(l.Text, values, objects, CheckChangedHeader)
	return program, standIn, problems
}

// References are the AccessLists and Maps that the text names, and those that its parameters do where nobody says another.
func (l *Logic) References() (list []Reference) {
	if l.Raw {
		return nil
	}
	for _, name := range sortedKeys(l.Parameters) {
		if v := l.Parameters[name].Default; v != nil {
			list = v.references(list, "parameters."+name+".default")
		}
	}
	program, standIn, _ := l.sample()
	add := func(kind string, names []string) {
		for _, name := range names {
			to := Ref{Kind: kind, Name: name}
			if name != standIn && !slices.ContainsFunc(list, func(r Reference) bool { return r.Ref == to }) {
				list = optional(list, "text", kind, name)
			}
		}
	}
	add("AccessList", program.Lists())
	add("Map", program.Maps())
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
	values, objects := map[string]string{"zone": c.Zone}, logic.Objects{}
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
		is.note(&objects, s)
	}
	if len(p.List()) > 0 {
		return nil, p.List()
	}
	program, problems := logic.Parse(l.Text, values, objects, CheckChangedHeader)
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
