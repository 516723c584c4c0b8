package logic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// samples are a word of each kind.
var samples = map[kind]string{
	anInt: "7", aString: "x", aRegex: "^a", aFormat: "a%[src]b", anExpr: "src,lower", aHeader: "X-A", aName: "name", aVariable: "txn.a", aDelimiter: "_",
	aMap: "moved", aBackend: "api", aStatus: "200", aRefusal: "403", aRedirect: "308", aType: "text/plain", aFlags: "g", aPart: "0", aMask: "24", aTerm: "txn.a",
}

func sampleWords(kinds []kind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, samples[k])
	}
	return strings.Join(list, " ")
}

func sampleCall(name string, c call, n int) string {
	if n == 0 {
		return name
	}
	var args []string
	for _, k := range c.args[:n] {
		args = append(args, samples[k])
	}
	if name == "bool" {
		args[0] = "true"
	}
	return name + "(" + strings.Join(args, ",") + ")"
}

// EverySnippet uses each word of the tables at least once, a snippet a line.
func EverySnippet() []string {
	var list []string
	in := func(p phase, format string, args ...any) {
		for _, d := range slices.Sorted(maps.Keys(directives)) {
			if directives[d]&p != 0 {
				list = append(list, d+" "+fmt.Sprintf(format, args...))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(actions)) {
		a := actions[name]
		if a.variable {
			name += "(txn.a)"
		}
		text := strings.TrimSpace(name + " " + sampleWords(a.words))
		if len(a.one) == 0 {
			in(a.in, "%s", text)
		}
		for _, o := range slices.Sorted(maps.Keys(a.options)) {
			more := strings.TrimSpace(" " + o + " " + sampleWords(a.options[o]))
			switch {
			case o == "content-type":
				continue
			case strings.HasSuffix(o, "string"):
				more += " content-type text/plain"
			case len(a.one) > 0 && !slices.Contains(a.one, o):
				more += " location /x"
			}
			in(a.in, "%s %s", text, more)
		}
	}
	for _, status := range refusals {
		in(request|response, "deny deny_status %s", status)
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		in(request, "redirect scheme https code %d drop-query", code)
	}
	for _, name := range slices.Sorted(maps.Keys(fetches)) {
		f := fetches[name]
		for n := f.must; n <= len(f.args); n++ {
			in(f.in, "set-header X-A %%[%s]", sampleCall(name, f, n))
			if f.out != method {
				in(f.in, "set-header X-A b if { %s -m found }", sampleCall(name, f, n))
			}
		}
		pattern := map[value]string{text: "x", number: "gt 5", boolean: "", address: "10.0.0.0/8 2001:db8::/32", method: "GET HEAD", unknown: "-m str x"}[f.out]
		in(f.in, "set-header X-A b if { %s %s }", sampleCall(name, f, f.must), pattern)
		for match, takes := range matches {
			if f.out == text && takes == text {
				in(f.in, "set-header X-A b if { %s -m %s x } { %s -i x }", sampleCall(name, f, f.must), match, sampleCall(name+"_"+match, f, f.must))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(converters)) {
		c := converters[name]
		first := "str(a_b)"
		switch name {
		case "add", "sub", "mul", "div", "mod", "neg", "even", "odd", "http_date", "not", "bool":
			first = "int(5)"
		case "ipmask":
			first = "src"
		case "iif":
			first = "always_true"
		}
		for n := c.must; n <= len(c.args); n++ {
			in(anywhere, "set-header X-A %%[%s,%s]", first, sampleCall(name, c, n))
		}
		pattern := map[value]string{text: "x", number: "1:5", boolean: "", address: "10.0.0.0/8", unknown: "-m sub x"}[c.out]
		in(request, "set-header X-A b if { %s,%s %s }", first, sampleCall(name, c, c.must), pattern)
	}
	for match, takes := range matches {
		pattern := map[value]string{text: "x", number: "5", boolean: "", address: "10.0.0.1", unknown: ""}[takes]
		in(request, "set-header X-A b if { var(txn.a) -m %s %s }", match, pattern)
	}
	for name, p := range built {
		in(p, "set-header X-A b if %s !%s", name, name)
	}
	return append(list, "http-request deny if { client in crawlers others }", `http-request return status 200 content-type text/plain string "a 'b' \\ \" # $ %"`)
}

// Words lists what is on the tables, as docs/logic.md has it.
func Words() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	where := func(p phase) string {
		var list []string
		for _, d := range []string{"http-request", "http-response", "http-after-response"} {
			if directives[d]&p != 0 {
				list = append(list, strings.TrimPrefix(d, "http-"))
			}
		}
		return strings.Join(list, ", ")
	}
	kinds := func(list []kind) string {
		var words []string
		for _, k := range list {
			words = append(words, string(k))
		}
		return strings.Join(words, "; ")
	}
	line("| action | at | followed by | may be followed by |\n|---|---|---|---|")
	for _, name := range slices.Sorted(maps.Keys(actions)) {
		a := actions[name]
		var options []string
		for _, o := range slices.Sorted(maps.Keys(a.options)) {
			options = append(options, strings.TrimSpace("`"+o+"` "+kinds(a.options[o])))
		}
		if a.variable {
			name += "(VARIABLE)"
		}
		line("| `%s` | %s | %s | %s |", name, where(a.in), kinds(a.words), strings.Join(options, "; "))
	}
	line("\n| fetch | at | arguments, of which so many must be there |\n|---|---|---|")
	for _, name := range slices.Sorted(maps.Keys(fetches)) {
		c := fetches[name]
		line("| `%s` | %s | %s |", name, where(c.in), arguments(c))
	}
	line("\n| converter | arguments, of which so many must be there |\n|---|---|")
	for _, name := range slices.Sorted(maps.Keys(converters)) {
		line("| `%s` | %s |", name, arguments(converters[name]))
	}
	line("\nWays of matching: `-m` with `%s`, and `-i` for any case; `path_beg` is `path -m beg`, and so on.", strings.Join(slices.Sorted(maps.Keys(matches)), "`, `"))
	line("HAProxy's own conditions: `%s`.", strings.Join(slices.Sorted(maps.Keys(built)), "`, `"))
	return b.String()
}

func arguments(c call) string {
	if len(c.args) == 0 {
		return ""
	}
	var words []string
	for _, k := range c.args {
		words = append(words, string(k))
	}
	return fmt.Sprintf("%d: %s", c.must, strings.Join(words, "; "))
}
