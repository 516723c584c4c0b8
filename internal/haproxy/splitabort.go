package haproxy

import (
	"encoding/json"
	"fmt"
	"slices"

	"weir"
	"weir/internal/ir"
)

// legCounter is the stick counter that holds the leg of a request, behind those of rate limits.
const legCounter = weir.MaxRateLimits

// longestLeg is how long a leg's key can be: split.digest/site/backend.
const longestLeg = 3*weir.MaxName + 12

// windows are the times that splits of the group look back on, shortest first, each with the split that is the only one
// to do so.
func (r *renderer) windows() (list []weir.Duration, owners map[weir.Duration]string) {
	owners = map[weir.Duration]string{}
	for _, s := range r.node.Splits {
		if s.Abort == nil {
			continue
		}
		w := s.Abort.Window
		if slices.Contains(list, w) {
			owners[w] = ""
			continue
		}
		list, owners[w] = append(list, w), "Split/"+s.Name
	}
	slices.Sort(list)
	return list, owners
}

// aborts says that a split of the group takes legs out that fail.
func (r *renderer) aborts() bool {
	return slices.ContainsFunc(r.node.Splits, func(s ir.Split) bool { return s.Abort != nil })
}

// legTable names the table of a window.
func legTable(d weir.Duration) string { return "split-" + seconds(d) }

// legTables are where answers of legs are counted, and where it stands which of them are out. They are handed on at a
// reload, as those of rate limits are.
func (r *renderer) legTables(s *Section) {
	list, owners := r.windows()
	for _, d := range list {
		s.own(owners[d], "table %s type string len %d size 10k expire 24d store gpt(1),gpc(2),gpc_rate(2,%s)", legTable(d), longestLeg, seconds(d))
	}
}

// abortWords is what splits.map says of a split that takes legs out, behind the rest: by what they are known until the
// split changes, and when they are out.
func abortWords(s *ir.Split) string {
	if s.Abort == nil {
		return ""
	}
	spec, err := json.Marshal(s.Split)
	if err != nil {
		panic(fmt.Sprintf("Split/%s: %v", s.Name, err))
	}
	return fmt.Sprintf(":%s:%s.%s:%d:%d", seconds(s.Abort.Window), s.Name, longDigest(string(spec)), s.Abort.Errors, s.Abort.Requests)
}

// abort counts what the leg in txn.sp.leg answers, and sends its requests to the first one once it is out. It is judged at
// each answer, so that the next request goes elsewhere.
func (r *renderer) abort(s *Section, rule adder) {
	if !r.aborts() {
		return
	}
	list, owners := r.windows()
	const is = "{ var(txn.sp.window) -m found }"
	rule("set-var(txn.sp.window) var(txn.sp.split),field(4,:) if { var(txn.sp.leg) -m found }")
	rule("set-var(txn.sp.key) var(txn.sp.split),field(5,:),concat(/,txn.sp.leg) if %s", is)
	for _, d := range list {
		s.own(owners[d], "http-request track-sc%d var(txn.sp.key) table %s/%s if { var(txn.sp.window) -m str %s }", legCounter, limitTables, legTable(d), seconds(d))
	}
	rule("set-var(txn.sp.out) sc_get_gpt(0,%d) if %s", legCounter, is)
	const out = "{ var(txn.sp.out) -m int gt 0 }"
	rule("set-var-fmt(txn.limited) %%[var(txn.limited)]away:%%[var(txn.sp.name)]/%%[var(txn.sp.leg),field(2,/)], if %s", out)
	rule("unset-var(txn.sp.leg) if %s", out)
	rule("unset-var(txn.sp.window) if %s", out)
}

// countLegs counts what legs answer. Behind it comes the logic of sites alone, whose rules would end it; all other answers
// pay a look at two variables.
func (r *renderer) countLegs(s *Section) {
	if !r.aborts() {
		return
	}
	const is = "{ var(txn.sp.window) -m found }"
	after := func(format string, args ...any) { s.add("http-after-response "+format+" if "+is, args...) }
	s.add("http-after-response allow if !%s !{ var(txn.logic) -m found }", is)
	after("sc-inc-gpc(0,%d)", legCounter)
	s.add("http-after-response sc-inc-gpc(1,%d) if %s { status ge 500 }", legCounter, is)
	after("set-var(txn.sp.n) sc_gpc_rate(0,%d)", legCounter)
	after("set-var(txn.sp.errors) sc_gpc_rate(1,%d),mul(100)", legCounter)
	after("set-var(txn.sp.percent) var(txn.sp.split),field(6,:)")
	after("set-var(txn.sp.fine) var(txn.sp.n),mul(txn.sp.percent)")
	after("set-var(txn.sp.least) var(txn.sp.split),field(7,:)")
	judged := "{ var(txn.sp.errors),sub(txn.sp.fine) -m int gt 0 } { var(txn.sp.n),sub(txn.sp.least) -m int ge 0 }"
	// Answers to requests that were on their way tell of it no more.
	s.add("http-after-response set-var(txn.sp.out) sc_get_gpt(0,%d) if %s %s", legCounter, is, judged)
	s.add("http-after-response set-var-fmt(txn.limited) %%[var(txn.limited)]out:%%[var(txn.sp.name)]/%%[var(txn.sp.leg),field(2,/)], if %s %s { var(txn.sp.out) -m int 0 }", is, judged)
	s.add("http-after-response sc-set-gpt(0,%d) 1 if %s %s", legCounter, is, judged)
}
