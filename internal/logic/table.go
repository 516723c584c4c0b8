package logic

import "strings"

// phase is where a rule stands, as a bit.
type phase int

const (
	request phase = 1 << iota
	response
	after
	anywhere = request | response | after
	answers  = response | after
)

// directives are what a line can begin with, besides acl.
var directives = map[string]phase{"http-request": request, "http-response": response, "http-after-response": after}

// kind is what an argument is.
type kind string

const (
	anInt      kind = "a whole number"
	aString    kind = "text"
	aRegex     kind = "a regex"
	aFormat    kind = "text with %[…]"
	anExpr     kind = "an expression"
	aHeader    kind = "the name of a header"
	aName      kind = "a name"
	aVariable  kind = "a variable of the logic's own: txn.NAME, req.NAME or res.NAME"
	aDelimiter kind = "delimiters"
	aMap       kind = "the name of a Map"
	aBackend   kind = "the name of a backend of the site"
	aStatus    kind = "a status from 200 to 599"
	aRefusal   kind = "a status that HAProxy refuses with: 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503 or 504"
	aRedirect  kind = "301, 302, 303, 307 or 308"
	aType      kind = "a content type, such as text/plain"
	aFlags     kind = "g, i or gi"
	aPart      kind = "a number, 0 for all that is left"
	aMask      kind = "a number of bits"
	aTerm      kind = "a whole number, or a variable of the logic's own"
)

// action is what a rule can do: words that must follow, and options in any order.
type action struct {
	in phase
	// variable says that a variable stands in parentheses behind the name.
	variable bool
	words    []kind
	options  map[string][]kind
	// one of these options must be there, if there are any.
	one []string
	// several says which option may be there more than once.
	several string
}

var (
	header  = action{in: anywhere, words: []kind{aHeader, aFormat}}
	replace = action{in: anywhere, words: []kind{aHeader, aRegex, aFormat}}
)

// actions are all that a Logic can do.
var actions = map[string]action{
	"set-header":       header,
	"add-header":       header,
	"del-header":       {in: anywhere, words: []kind{aHeader}},
	"replace-header":   replace,
	"replace-value":    replace,
	"set-var":          {in: anywhere, variable: true, words: []kind{anExpr}},
	"set-var-fmt":      {in: anywhere, variable: true, words: []kind{aFormat}},
	"unset-var":        {in: anywhere, variable: true},
	"set-path":         {in: request, words: []kind{aFormat}},
	"set-pathq":        {in: request, words: []kind{aFormat}},
	"set-query":        {in: request, words: []kind{aFormat}},
	"replace-path":     {in: request, words: []kind{aRegex, aFormat}},
	"replace-pathq":    {in: request, words: []kind{aRegex, aFormat}},
	"disable-l7-retry": {in: request},
	"route":            {in: request, words: []kind{aBackend}}, // of Weir's own
	"tarpit":           {in: request, options: map[string][]kind{"deny_status": {aRefusal}}},
	"deny":             {in: request | response, options: map[string][]kind{"deny_status": {aRefusal}}},
	"set-status":       {in: answers, words: []kind{aStatus}, options: map[string][]kind{"reason": {aString}}},
	"redirect": {in: request, one: []string{"location", "prefix", "scheme"}, options: map[string][]kind{
		"location": {aFormat}, "prefix": {aFormat}, "scheme": {aFormat}, "code": {aRedirect}, "drop-query": nil, "append-slash": nil,
	}},
	"return": {in: request | response, several: "hdr", options: map[string][]kind{
		"status": {aStatus}, "content-type": {aType}, "string": {aString}, "lf-string": {aFormat}, "hdr": {aHeader, aFormat},
	}},
}

// value is the type of a sample, which says how it is held against patterns when nothing else does.
type value string

const (
	text    value = "str"
	number  value = "int"
	boolean value = "bool"
	address value = "ip"
	method  value = "method"
	unknown value = ""
)

// call is a fetch or converter: its arguments, those from must on may be left out.
type call struct {
	in   phase // of fetches
	out  value
	args []kind
	must int
}

// fetches are what a Logic can look at.
var fetches = map[string]call{
	"always_false":    {anywhere, boolean, nil, 0},
	"always_true":     {anywhere, boolean, nil, 0},
	"base":            {request, text, nil, 0},
	"bool":            {anywhere, boolean, []kind{aName}, 1},
	"date":            {anywhere, number, []kind{anInt}, 0},
	"dst":             {anywhere, address, nil, 0},
	"dst_port":        {anywhere, number, nil, 0},
	"fc_http_major":   {anywhere, number, nil, 0},
	"int":             {anywhere, number, []kind{anInt}, 1},
	"method":          {request, method, nil, 0},
	"path":            {request, text, nil, 0},
	"pathq":           {request, text, nil, 0},
	"query":           {request, text, nil, 0},
	"rand":            {anywhere, number, []kind{anInt}, 0},
	"req.cook":        {request, text, []kind{aName}, 1},
	"req.cook_cnt":    {request, number, []kind{aName}, 1},
	"req.fhdr":        {request, text, []kind{aName, anInt}, 1},
	"req.fhdr_cnt":    {request, number, []kind{aName}, 1},
	"req.hdr":         {request, text, []kind{aName, anInt}, 1},
	"req.hdr_cnt":     {request, number, []kind{aName}, 1},
	"req.ver":         {request, text, nil, 0},
	"res.cook":        {answers, text, []kind{aName}, 1},
	"res.cook_cnt":    {answers, number, []kind{aName}, 1},
	"res.fhdr":        {answers, text, []kind{aName, anInt}, 1},
	"res.fhdr_cnt":    {answers, number, []kind{aName}, 1},
	"res.hdr":         {answers, text, []kind{aName, anInt}, 1},
	"res.hdr_cnt":     {answers, number, []kind{aName}, 1},
	"res.ver":         {answers, text, nil, 0},
	"src":             {anywhere, address, nil, 0},
	"src_port":        {anywhere, number, nil, 0},
	"ssl_fc":          {anywhere, boolean, nil, 0},
	"ssl_fc_cipher":   {anywhere, text, nil, 0},
	"ssl_fc_protocol": {anywhere, text, nil, 0},
	"ssl_fc_sni":      {anywhere, text, nil, 0},
	"status":          {answers, number, nil, 0},
	"str":             {anywhere, text, []kind{aString}, 1},
	"url_param":       {request, text, []kind{aName}, 1},
	"uuid":            {anywhere, text, nil, 0},
	"var":             {anywhere, unknown, []kind{aVariable}, 1},
}

// converters are what a Logic can make of what it looked at.
var converters = map[string]call{
	"add":       {out: number, args: []kind{aTerm}, must: 1},
	"b64dec":    {out: unknown},
	"base64":    {out: text},
	"bool":      {out: boolean},
	"bytes":     {out: text, args: []kind{anInt, anInt}, must: 1},
	"crc32":     {out: number},
	"div":       {out: number, args: []kind{aTerm}, must: 1},
	"djb2":      {out: number},
	"even":      {out: boolean},
	"field":     {out: text, args: []kind{anInt, aDelimiter, aPart}, must: 2},
	"hex":       {out: text},
	"host_only": {out: text},
	"http_date": {out: text},
	"iif":       {out: text, args: []kind{aString, aString}, must: 2},
	"ipmask":    {out: address, args: []kind{aMask, aMask}, must: 1},
	"length":    {out: number},
	"lower":     {out: text},
	"ltrim":     {out: text, args: []kind{aString}, must: 1},
	"map":       {out: text, args: []kind{aMap, aString}, must: 1}, // of Weir's own
	"mod":       {out: number, args: []kind{aTerm}, must: 1},
	"mul":       {out: number, args: []kind{aTerm}, must: 1},
	"neg":       {out: number},
	"not":       {out: boolean},
	"odd":       {out: boolean},
	"port_only": {out: number},
	"regsub":    {out: text, args: []kind{aRegex, aString, aFlags}, must: 2},
	"rtrim":     {out: text, args: []kind{aString}, must: 1},
	"sha1":      {out: unknown},
	"strcmp":    {out: number, args: []kind{aVariable}, must: 1},
	"sub":       {out: number, args: []kind{aTerm}, must: 1},
	"upper":     {out: text},
	"url_dec":   {out: text},
	"url_enc":   {out: text},
	"word":      {out: text, args: []kind{anInt, aDelimiter, aPart}, must: 2},
	"xxh32":     {out: number},
	"xxh64":     {out: number},
}

// matches are the ways in which a sample is held against patterns, and what patterns they take.
var matches = map[string]value{
	"str": text, "beg": text, "end": text, "sub": text, "dir": text, "dom": text, "reg": text,
	"int": number, "len": number, "ip": address, "bool": boolean, "found": unknown,
}

// short gives the fetch and the way of matching that a word such as path_beg or hdr_reg stands for.
func short(name string) (fetch, match string, ok bool) {
	i := strings.LastIndexByte(name, '_')
	if i < 0 {
		return "", "", false
	}
	fetch, match = name[:i], name[i+1:]
	if to := aliases[fetch]; to != "" {
		fetch = to
	}
	_, known := fetches[fetch]
	return fetch, match, known && fetches[fetch].out == text && (matches[match] == text || match == "len")
}

// aliases are other words for fetches.
var aliases = map[string]string{"cook": "req.cook", "cook_cnt": "req.cook_cnt", "hdr": "req.hdr", "hdr_cnt": "req.hdr_cnt", "urlp": "url_param"}

// built are the conditions that HAProxy knows by itself.
var built = map[string]phase{
	"TRUE": anywhere, "FALSE": anywhere, "HTTP_1.0": request, "HTTP_1.1": request, "HTTP_2.0": request, "HTTP_3.0": request,
	"METH_DELETE": request, "METH_GET": request, "METH_HEAD": request, "METH_OPTIONS": request, "METH_POST": request, "METH_PUT": request, "METH_TRACE": request,
}
