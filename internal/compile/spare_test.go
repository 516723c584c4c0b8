package compile_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
)

// spared gives the names of those that Spare gives of all that are withdrawn or stale.
func spared(set *weir.Set) string {
	var gone []*weir.Object
	for o := range set.All("Server") {
		if state := o.Spec.(*weir.Server).Registered(); state == weir.RegistrationWithdrawn || state == weir.RegistrationStale {
			gone = append(gone, o)
		}
	}
	var names []string
	for _, o := range compile.Spare(set, gone) {
		names = append(names, o.Metadata.Name)
	}
	return strings.Join(names, " ")
}

// TestSpare: servers a, b, c and on, as in TestRegistrationsLetServersIn.
func TestSpare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, pool, servers, overrides, want string }{
		{"a few are gone", "admission: both", "hhhsw", "", "d e"},
		{"as many as the floor bears", "admission: both", "hhss", "", "c d"},
		{"one more, and it keeps all that are stale", "admission: both", "hhsssw", "", "f"},
		{"all are silent", "admission: registration", "sss", "", ""},
		{"all have withdrawn", "admission: registration", "www", "", "a b c"},
		{"a floor of its own", "admission: registration, floor: {percent: 0}", "hsss", "", "b c d"},
		{"who drains or has none stands in for nobody", "admission: both", "dds--", "", ""},
		{"a pool that does not ask has the usual floor", "admission: check", "hhss", "", "c d"},
		{"and keeps those beyond", "admission: check", "hhsss", "", ""},
		{"and has no other to stand in", "healthCheck: {type: none}", "s---", "", ""},
		{"a healthy one that people drain stands in for nobody", "admission: both", "hs", "a:drain:", ""},
		{"whom people have moved is theirs", "admission: both", "hhsw", "c:drain: d:ready:", ""},
		{"it has no port that the pool asks for", "admission: both, port: http", "ss", "", "a b"},
		{"no pool selects it", "admission: both, selector: {role: web, clusters: [blue]}", "sw", "", "a b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := registered(t, "healthCheck: {type: none}", tt.servers, tt.overrides)
			set.Put(poolOf(t, tt.pool))
			if got := spared(set); got != tt.want {
				t.Errorf("%q; want %q", got, tt.want)
			}
		})
	}
}

// poolOf makes the pool that registered makes, with other fields in place of its own.
func poolOf(t *testing.T, fields string) *weir.Object {
	t.Helper()
	for _, usual := range []string{"selector: {role: web}", "port: 80"} {
		if key, _, _ := strings.Cut(usual, " "); !strings.Contains(fields, key) {
			fields += ", " + usual
		}
	}
	list, err := weir.Decode("pool.yaml", []byte("{kind: Pool, metadata: {name: web, role: web}, spec: {"+fields+"}}"))
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// TestSpareIsWhatNoPoolHas: of pools that ask for registrations, Spare and the pools themselves say the same of every server
// that nobody has moved; and what is spared takes nobody's traffic away when it goes.
func TestSpareIsWhatNoPoolHas(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(39, 42))
	states, admissions := "hhssdw-", []string{"registration", "both"}
	kept, gone := 0, 0
	for range 60 {
		servers := make([]byte, 2+rnd.IntN(7))
		for i := range servers {
			servers[i] = states[rnd.IntN(len(states))]
		}
		overrides := ""
		if rnd.IntN(3) == 0 {
			overrides = "a:drain:"
		}
		set := registered(t, "admission: "+admissions[rnd.IntN(2)], string(servers), overrides)
		pool := set.Get(weir.Ref{Kind: "Pool", Name: "web"})
		list := strings.Fields(spared(set))
		before := compile.Preview(set, pool)
		for _, one := range before {
			state := one.Object.Spec.(*weir.Server).Registered()
			if len(one.Overrides) > 0 || state != weir.RegistrationStale && state != weir.RegistrationWithdrawn {
				continue
			}
			if slices.Contains(list, one.Name) == one.In() {
				t.Errorf("%s %q: %s is %s, and spared are %v", servers, overrides, one.Name, one.Standing, list)
			}
			if one.In() {
				kept++
			} else {
				gone++
			}
		}
		for _, name := range list {
			set.Delete(weir.Ref{Kind: "Server", Name: name})
		}
		if had, has := in(before), in(compile.Preview(set, pool)); had != has {
			t.Errorf("%s %q: in were %s, and are %s without %v", servers, overrides, had, has, list)
		}
	}
	if kept < 20 || gone < 20 {
		t.Errorf("%d kept and %d spared show little", kept, gone)
	}
}

func in(list []compile.Candidate) string {
	var names []string
	for _, one := range list {
		if one.In() {
			names = append(names, one.Name)
		}
	}
	return strings.Join(names, " ")
}
