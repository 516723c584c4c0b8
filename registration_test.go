package weir_test

import (
	"strconv"
	"strings"
	"testing"

	"weir"
)

func TestAdmission(t *testing.T) {
	t.Parallel()
	const head = "kind: Pool\nmetadata: {name: web}\nspec:\n  "
	for _, tt := range []struct{ spec, want, refused string }{
		{"members: []", "check", ""},
		{"healthCheck: {type: none}", "none", ""},
		{"{selector: {role: web}, port: http, admission: registration}", "registration 50% 1", ""},
		{"{selector: {role: web}, port: http, admission: registration, healthCheck: {type: none}}", "registration 50% 1", ""},
		{"{selector: {role: web}, port: http, admission: both, floor: {percent: 0, count: 3}}", "both 0% 3", ""},
		{"{selector: {role: web}, port: http, admission: both, floor: {count: 3}}", "both 50% 3", ""},
		{"admission: none", "none", ""},
		{"{healthCheck: {type: none}, admission: check}", "", "check needs a health check, and healthCheck.type is none"},
		{"{selector: {role: web}, port: http, healthCheck: {type: none}, admission: both}", "", "both needs a health check"},
		{"admission: registration", "", "static members have no registration"},
		{"admission: maybe", "", `"maybe" must be one of check, registration, both, none`},
		{"floor: {percent: 10}", "", "belongs to admission: registration or both"},
		{"{selector: {role: web}, port: http, admission: both, floor: {percent: 101}}", "", "101 is outside 0 to 100"},
		{"{selector: {role: web}, port: http, admission: both, floor: {count: -1}}", "", "-1 is outside 1 to 1000000"},
	} {
		list, err := weir.Decode("p.yaml", []byte(head+tt.spec))
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%s: %v, want %q", tt.spec, err, tt.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.spec, err)
			continue
		}
		p := list[0].Spec.(*weir.Pool)
		got := p.Admission
		if f := p.Floor; f != nil {
			got += " " + strings.Join([]string{strconv.Itoa(*f.Percent) + "%", strconv.Itoa(f.Count)}, " ")
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.spec, got, tt.want)
		}
	}
}

func TestFloorHolds(t *testing.T) {
	t.Parallel()
	floor := func(percent, count int) *weir.Floor { return &weir.Floor{Percent: &percent, Count: count} }
	for _, tt := range []struct {
		floor          *weir.Floor
		healthy, stale int
		want           bool
	}{
		{nil, 5, 5, false},
		{nil, 4, 5, true},
		{nil, 4, 6, true},
		{nil, 1, 1, false},
		{nil, 0, 1, true},
		{nil, 0, 0, false},
		{nil, 9, 0, false},
		{floor(0, 1), 1, 99, false},
		{floor(0, 1), 0, 99, true},
		{floor(0, 3), 2, 1, true},
		{floor(0, 3), 3, 1, false},
		{floor(100, 1), 99, 1, true},
		{floor(0, 0), 0, 1, true},
	} {
		if got := tt.floor.Holds(tt.healthy, tt.stale); got != tt.want {
			t.Errorf("%+v with %d healthy and %d stale: %v", tt.floor, tt.healthy, tt.stale, got)
		}
	}
}
