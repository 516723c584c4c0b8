package logic_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/internal/logic"
)

func noHost(name string) error {
	if name == "host" {
		return errors.New("host stays as it is")
	}
	return nil
}

// TestHostileSnippetsAreRefused shows what no Logic can hold, each with the line and the reason.
func TestHostileSnippetsAreRefused(t *testing.T) {
	t.Parallel()
	for text, why := range map[string]string{
		"http-request return status 200 content-type text/plain lf-file /etc/passwd":  `"lf-file" too many`,
		"http-request return status 200 content-type text/plain file key.pem":         `"file" too many`,
		"http-request return status 200 errorfile /etc/passwd":                        `"errorfile" too many`,
		"http-request return default-errorfiles":                                      `"default-errorfiles" too many`,
		"http-request return status 200 content-type text/plain string a lf-string b": "both string and lf-string",
		"http-request set-header X %[str(a),map_str(/etc/passwd)]":                    `"map_str" is not on the list`,
		"http-request set-header X %[src,map_ip(maps/lists.map)]":                     `"map_ip" is not on the list`,
		"http-request set-header X %[path,map(/etc/passwd)]":                          `"/etc/passwd" is not the name of a Map`,
		"http-request set-header X %[env(HOME)]":                                      `"env" is not on the list`,
		`http-request set-header X "$HOME"`:                                           "there is no environment here",
		`http-request set-header X "${HOME}"`:                                         `the parameter "HOME", which is not declared`,
		"http-request set-header X ${HOME}":                                           `the parameter "HOME", which is not declared`,
		"http-request lua.x":                                                          `"lua.x" is not on the list`,
		"http-request set-header X %[lua.x]":                                          `"lua.x" is not on the list`,
		"http-request set-dst dst":                                                    `"set-dst" is not on the list`,
		"http-request set-src src":                                                    `"set-src" is not on the list`,
		"http-request set-uri /x":                                                     `"set-uri" is not on the list`,
		"http-request set-method CONNECT":                                             `"set-method" is not on the list`,
		"http-request auth realm x":                                                   `"auth" is not on the list`,
		"http-request deny if { http_auth(users) }":                                   `"http_auth" is not on the list`,
		"http-request set-var(proc.again) str(x)":                                     `"proc.again" is not a variable`,
		"http-request set-var(sess.vip) str(x)":                                       `"sess.vip" is not a variable`,
		"http-request set-var(txn.x) var(proc.again)":                                 `"proc.again" is not a variable`,
		"http-request set-header X %[var(sess.vip)]":                                  `"sess.vip" is not a variable`,
		"http-request unset-var(proc.down)":                                           `"proc.down" is not a variable`,
		"http-request do-log":                                                         `"do-log" is not on the list`,
		"http-request use-service prometheus-exporter":                                `"use-service" is not on the list`,
		"http-request track-sc0 src table limits/10s":                                 `"track-sc0" is not on the list`,
		"http-request deny if { src,table_http_req_rate(limits/10s) gt 0 }":           `"table_http_req_rate" is not on the list`,
		"http-request deny if { sc_http_req_rate(0) gt 0 }":                           `"sc_http_req_rate" is not on the list`,
		"http-request set-map(maps/hosts-80.map) a b":                                 `"set-map" is not on the list`,
		"http-request add-acl(maps/x) a":                                              `"add-acl" is not on the list`,
		"http-request allow":                                                          `"allow" is not on the list`,
		"http-request set-header Host x":                                              "host stays as it is",
		"http-request set-header X-A: x":                                              "may hold only letters",
		"http-request set-header X %ci":                                               "is neither %[…] nor %%",
		"http-request set-header X a %[src":                                           `"%[src" too many`,
		"http-request set-header X %[src":                                             "has no ]",
		"http-request deny if { src -f /etc/hosts }":                                  `the flag "-f" is not on the list`,
		"http-request deny if { path -M -f x }":                                       `the flag "-M" is not on the list`,
		"http-request deny if { path -m sub -u 1 x }":                                 `the flag "-u" is not on the list`,
		"http-request deny if { path -u 1 x }":                                        `the flag "-u" is not on the list`,
		"http-request deny if { var(txn.x) }":                                         "needs -m",
		"http-request deny if { nbsrv(web) gt 0 }":                                    `"nbsrv" is not on the list`,
		"http-request deny if":                                                        "no condition at its end",
		"http-request deny if or TRUE":                                                "no condition before or",
		"http-request deny if { path /x":                                              "has no }",
		"http-request deny if other":                                                  `"other", which is no acl`,
		"http-response set-header X %[path]":                                          "can't be seen by http-response",
		"http-request set-header X %[status]":                                         "can't be seen by http-request",
		"http-response deny if { path /x }":                                           "looks at what http-response does not see",
		"http-response route api":                                                     "can't be done by http-response",
		"http-request redirect location /a location /b":                               "has location twice",
		"http-request redirect code 301":                                              "needs one of",
		"http-request redirect location / set-cookie A=1":                             `"set-cookie" too many`,
		"http-request set-header X 'a":                                                "has no end of what ' begins",
		`http-request set-header X a\nhttp-request`:                                   "control character",
		"http-request set-header X a\\":                                               "ends with a backslash",
		"http-request set-header X a\x01":                                             "no printable ASCII",
		"backend x":                                                                   `begins with "backend"`,
		"server x 127.0.0.1:80":                                                       `begins with "server"`,
		"acl TRUE path /x":                                                            "can't name an acl",
		"acl x client in ../x":                                                        "no name of an AccessList",
		"http-request set-header X %[var(txn.x),strcmp(proc.again)]":                  `"proc.again" is not a variable`,
		"http-request set-header X %[int(1),add(proc.again)]":                         `"proc.again" is not a variable`,
		"http-request set-header X %[path,regsub(a,b,gz)]":                            "is not g, i or gi",
		"http-request set-header X ''":                                                "this is empty",
		"http-request set-header X ${empty}":                                          "this is empty",
		"http-request redirect location ''":                                           "this is empty",
		"http-request return status 204 content-type text/plain string x":             "has no body",
		"http-request return content-type text/plain string x status 304":             "has no body",
		"http-request set-header X %[path,field(1)]":                                  "takes 2 to 3",
		"":                                  "holds no directive",
		"http-request deny deny_status 200": "refuses with",
		"http-request return status 200 content-type 'text/plain\x01X: y' string x": "printable ASCII",
		"http-request return status 200 content-type 'text/plain hdr' string x":     "is not a content type",
		"http-request set-header X %[path,map(${name})]":                            "map takes a parameter of type map alone",
		"http-request deny if { client in ${name} }":                                "client in takes a parameter of type accessList alone",
		"${action} deny":                           `begins with "http-request"`,
		"http-request ${deny}":                     `the action "deny" is not on the list`,
		"http-request set-header X %[${fetch}]":    "where a fetch or a converter must be",
		"http-request deny if ${cond}":             `asks for "TRUE"`,
		"http-request deny if { path ${flag} /x }": "",
		"http-request set-header X ${newline}":     "no printable ASCII",
	} {
		values := map[string]string{"name": "moved", "action": "http-request", "deny": "deny", "fetch": "src", "cond": "TRUE", "flag": "-f", "empty": "", "newline": "a\nbackend b"}
		_, problems := logic.Parse("# first\n"+text, values, logic.Objects{}, noHost)
		switch {
		case why == "" && len(problems) > 0:
			t.Errorf("%s\n\tis refused: %v", text, problems)
		case why == "":
		case len(problems) == 0:
			t.Errorf("%s\n\tis taken, and should be refused: %s", text, why)
		case !strings.Contains(problems[0].Message, why) || text != "" && problems[0].Line != 2:
			t.Errorf("%s\n\tis refused at line %d with %q, not %q", text, problems[0].Line, problems[0].Message, why)
		}
	}
}

// A parameter stands for a list or a Map when one of that type brings just that name.
func TestParametersNameListsAndMaps(t *testing.T) {
	t.Parallel()
	objects := logic.Objects{Lists: []string{"office"}, Maps: []string{"moved"}}
	values := map[string]string{"l": "office", "m": "moved", "off": "off", "x": "ed),lower,map(hers"}
	for text, why := range map[string]string{
		"http-request deny if { client in ${l} others }":        "",
		"http-request set-header X %[path,map(${m})]":           "",
		"http-request set-header X %[path,map(${m},${x})]":      "",
		"http-request set-header X %[path,map(m${x})]":          "map takes a parameter of type map alone",
		"http-request set-header X %[path,map(${l})]":           "map takes a parameter of type map alone",
		"http-request set-header X %[path,map(mov${x})]":        "map takes a parameter of type map alone",
		"http-request deny if { client in ${off}ice }":          "",
		"http-request deny if { client in ${m} }":               "client in takes a parameter of type accessList alone",
		"http-request deny if { client ${in} ${l} }":            "is not declared",
		"http-request set-header X %[path,map(moved,${l}),len]": "the converter \"len\" is not on the list",
	} {
		p, problems := logic.Parse(text, values, objects, nil)
		switch {
		case why == "" && len(problems) > 0:
			t.Errorf("%s: %v", text, problems)
		case why == "":
			for _, name := range slices.Concat(p.Lists(), p.Maps()) {
				if !slices.Contains([]string{"office", "moved", "others"}, name) {
					t.Errorf("%s looks up %s", text, name)
				}
			}
		case len(problems) == 0 || !strings.Contains(problems[0].Message, why):
			t.Errorf("%s: %v, want %s", text, problems, why)
		}
	}
}

// All regexes of a text may be asked of one request.
func TestRegexesAreCounted(t *testing.T) {
	for text, why := range map[string]string{
		"acl x path -m reg" + strings.Repeat(" a", 100):                                     "",
		"acl x path -m reg" + strings.Repeat(" a", 101):                                     "holds 101 regexes; at most 100",
		strings.Repeat("http-request replace-path a b\nacl x path -m reg a\n", 50):          "",
		strings.Repeat("http-request set-header X %[path,regsub(a,b,g)]\n", 8):              "",
		strings.Repeat("http-request set-header X %[path,regsub(a,b,i)]\n", 20):             "",
		strings.Repeat("http-request set-header X %[path,regsub(a,b,gi)]\n", 9):             "holds 9 replace-value and regsub",
		strings.Repeat("http-request replace-value X a b\nacl x path,regsub(a,b,g) b\n", 5): "holds 10 replace-value and regsub",
	} {
		_, problems := logic.Parse(text, nil, logic.Objects{}, nil)
		if told := fmt.Sprint(problems); (len(problems) > 0) != (why != "") || !strings.Contains(told, why) {
			t.Errorf("%.60s: %s, want %q", text, told, why)
		}
	}
}

// printed gives the lines of a text for a site whose guard is g.
func printed(t *testing.T, text string, values map[string]string, guard string) []string {
	t.Helper()
	p, problems := logic.Parse(text, values, logic.Objects{}, nil)
	if len(problems) > 0 {
		t.Fatalf("%s: %v", text, problems)
	}
	var list []string
	for _, l := range p.Print(logic.Context{ACLs: "a", Variables: "v", Guard: guard, Answers: guard}) {
		list = append(list, l.Text)
	}
	return list
}

// TestGuardsHoldForEachAlternative shows where the guard stands, and that what parameters bring is data.
func TestGuardsHoldForEachAlternative(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, guard, want string }{
		{"http-request deny", "g", "http-request deny if g"},
		{"http-request deny if FALSE or TRUE", "g", "http-request deny if g FALSE or g TRUE"},
		{"http-request deny unless FALSE || TRUE METH_GET", "g", "http-request deny unless !g or FALSE or TRUE METH_GET"},
		{"http-request deny if TRUE || FALSE", "!g", "http-request deny if !g TRUE or !g FALSE"},
		{"http-request deny unless TRUE", "!g", "http-request deny unless g or TRUE"},
		{"acl x path /x\nhttp-request deny if !x", "g", "acl a.x path -m str -- /x|http-request deny if g !a.x"},
		{"http-request deny if { path_beg /x 'x}' } !{ src 10.0.0.0/8 }", "g", "acl a._1 path -m beg -- /x 'x}'|acl a._2 src -m ip -- 10.0.0.0/8|http-request deny if g a._1 !a._2"},
		{"http-request set-var(txn.site) path", "g", "http-request set-var(txn.v.site) path if g"},
		{"http-request set-header X ${p}", "g", `http-request set-header x '%%[src]'\'' if or"#\\' if g`},
		{`http-request set-header X "%[str(${p})]"`, "g", `http-request set-header x '%[str('\''%[src]'\''"'\''"'\'' if or"#\\'\'')]' if g`},
		{"http-request deny if { path ${p} }", "g", `acl a._1 path -m str -- '%[src]'\'' if or"#\\'|http-request deny if g a._1`},
		{`http-request set-path "%[path,regsub('^/a\.(.*)$',/\1)]"`, "g", `http-request set-path '%[path,regsub('\''^/a\.(.*)$'\'','\''/\1'\'')]' if g`},
	} {
		got := strings.Join(printed(t, c.text, map[string]string{"p": `%[src]' if or"#\\`}, c.guard), "|")
		if got != c.want {
			t.Errorf("%s\n\tgives %s\n\tnot   %s", c.text, got, c.want)
		}
	}
}

// TestRawIsGuarded shows that an admin's text is guarded as well, and left as it is else.
func TestRawIsGuarded(t *testing.T) {
	t.Parallel()
	r, problems := logic.ParseRaw("acl x src 10.0.0.1 # comment\nhttp-request set-dst str(127.0.0.1) if x or !x { path if or } || TRUE\nhttp-request return status 200 lf-file \"/a b\" unless x\nhttp-response set-header A b\\ c")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, l := range r.Print(logic.Context{ACLs: "a", Guard: "g", Answers: "h"}) {
		got = append(got, l.Text)
	}
	want := []string{"acl a.x src 10.0.0.1", "http-request set-dst str(127.0.0.1) if g a.x or g !a.x { path if or } || g TRUE", `http-request return status 200 lf-file "/a b" unless !g or a.x`, `http-response set-header A b\ c if h`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\n%q", got, want)
	}
	for text, why := range map[string]string{"backend x": "begins with", "http-request": "says something", "http-request deny '": "no end", "http-request deny \\": "backslash", "http-request deny \x00": "printable", " ": "no directive"} {
		if _, problems := logic.ParseRaw(text); len(problems) != 1 || !strings.Contains(problems[0].Message, why) {
			t.Errorf("%q: %v", text, problems)
		}
	}
}

// words takes a printed line apart by the few rules of quoting that are printed: quotes '…', and \' between them.
func words(line string) (list []string, ok bool) {
	w, quoted, begun := "", false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			quoted, begun = !quoted, true
		case quoted:
			w += string(c)
		case c == ' ':
			if !begun {
				return nil, false
			}
			list, w, begun = append(list, w), "", false
		case c == '\\' && i+1 < len(line) && line[i+1] == '\'':
			w, begun = w+"'", true
			i++
		case strings.ContainsRune("\\\"#$\t", rune(c)):
			return nil, false
		default:
			w, begun = w+string(c), true
		}
	}
	return append(list, w), !quoted && begun
}

// strip takes from a program where it stood, which differs when it was printed.
func strip(p *logic.Program) *logic.Program {
	for i := range p.Statements {
		p.Statements[i].Line = 0
	}
	return p
}

// FuzzLogic shows that whatever is accepted prints to lines that say the same again, and that each is one directive.
func FuzzLogic(f *testing.F) {
	for _, text := range []string{
		"http-request set-header X-A \"a b %[req.hdr(host),lower] 100%%\" if { path_beg -i /a /b } or METH_GET !{ src 10.0.0.0/8 }",
		"acl x hdr(user-agent) -m reg -i '^(a|b)\\.c$'\nacl x client in crawlers others\nhttp-request route api unless x or FALSE",
		"http-request return status 503 content-type text/plain lf-string '%[path,map(moved,/x)]' hdr A b hdr C %[src]",
		"http-response set-var(txn.a) res.hdr(x),field(1,\":\"),regsub(a,b,g)\nhttp-after-response set-status 200 reason \"O K\"",
		"http-request redirect location ${p} code 301 if { query -m found }",
		`http-request set-header X "%[str('a,b)'),concat]" # c`,
	} {
		f.Add(text, "v")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		p, problems := logic.Parse(text, map[string]string{"p": value}, logic.Objects{}, nil)
		if raw, wrong := logic.ParseRaw(text); len(wrong) == 0 {
			for _, l := range raw.Print(logic.Context{ACLs: "a", Guard: "g", Answers: "g"}) {
				if strings.ContainsAny(l.Text, "\n\r\x00") {
					t.Fatalf("%q gives %q", text, l.Text)
				}
			}
		}
		if len(problems) > 0 {
			return
		}
		var again []string
		for _, l := range p.Print(logic.Context{}) {
			again = append(again, l.Text)
		}
		second, problems := logic.Parse(strings.Join(again, "\n"), nil, logic.Objects{}, nil)
		if len(problems) > 0 {
			t.Fatalf("%q is printed as\n%s\nwhich is refused: %v", text, strings.Join(again, "\n"), problems)
		}
		if !reflect.DeepEqual(strip(p), strip(second)) {
			t.Fatalf("%q is printed as\n%s\nwhich says something else:\n%+v\n%+v", text, strings.Join(again, "\n"), p, second)
		}
		for _, l := range p.Print(logic.Context{ACLs: "a", Variables: "v", Guard: "g", Answers: "g"}) {
			list, ok := words(l.Text)
			if !ok || strings.ContainsAny(l.Text, "\n\r\x00") || len(list) > 64 || list[0] != l.Directive {
				t.Fatalf("%q gives %q", text, l.Text)
			}
			if l.Directive != "acl" && !strings.Contains(l.Text, " if g") && !strings.Contains(l.Text, " unless !g or ") {
				t.Fatalf("%q is not guarded: %q", text, l.Text)
			}
		}
	})
}
