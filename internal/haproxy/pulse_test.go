package haproxy_test

import (
	"strings"
	"testing"

	"weir/internal/haproxy"
)

const someState = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 web 1 a 127.0.0.1 2 0 100 100 7 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 web 2 b 127.0.0.2 2 0 100 100 7 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
4 api 1 a 127.0.0.3 0 0 100 100 7 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
`

func TestPulsesTellWhatHasChanged(t *testing.T) {
	t.Parallel()
	first, err := haproxy.Pulses(someState, nil)
	if err != nil || len(first) != 2 || first[0].Backend != "web" || first[0].Servers != 2 || first[1].Servers != 1 || first[0].Sum == first[1].Sum {
		t.Fatalf("%+v, %v", first, err)
	}
	line := "3 web 2 b 127.0.0.2 2 0 100 100 7 15 3 4 6 "
	for name, c := range map[string]struct {
		to    string
		moves bool
		// set says that the settings differ.
		set bool
	}{
		"nothing":              {line, false, false},
		"time passes":          {"3 web 2 b 127.0.0.2 2 0 100 100 8 15 3 4 6 ", false, false},
		"a check runs":         {"3 web 2 b 127.0.0.2 2 0 100 100 7 15 0 4 7 ", false, false},
		"it is down":           {"3 web 2 b 127.0.0.2 0 0 100 100 7 15 3 4 6 ", true, false},
		"it is in maintenance": {"3 web 2 b 127.0.0.2 2 1 100 100 7 15 3 4 6 ", true, true},
		"it is drained":        {"3 web 2 b 127.0.0.2 2 0 0 100 7 15 3 4 6 ", true, true},
		"its check says else":  {"3 web 2 b 127.0.0.2 2 0 100 100 7 17 3 4 6 ", true, false},
		"it is another":        {"3 web 2 c 127.0.0.2 2 0 100 100 7 15 3 4 6 ", true, true},
		"it is elsewhere":      {"3 web 2 b 127.0.0.9 2 0 100 100 7 15 3 4 6 ", true, true},
	} {
		next, err := haproxy.Pulses(strings.Replace(someState, line, c.to, 1), first)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if moved := next[0] != first[0]; moved != c.moves || next[1] != first[1] {
			t.Errorf("%s: %+v after %+v", name, next, first)
		}
		if moved := haproxy.Moved(first, next); (len(moved) == 1 && moved[0] == "web") != c.set || len(moved) > 1 {
			t.Errorf("%s: the settings of %v moved", name, moved)
		}
	}
	if moved := haproxy.Moved(first, first[1:]); len(moved) != 1 || moved[0] != "web" {
		t.Errorf("a backend is gone: the settings of %v moved", moved)
	}
	if moved := haproxy.Moved(first[1:], first); len(moved) != 1 || moved[0] != "web" {
		t.Errorf("a backend is new: the settings of %v moved", moved)
	}
	for _, wrong := range []string{"", "1\n", "2\n# be_name\n", strings.Replace(someState, "be_name", "be_game", 1), strings.Replace(someState, line, "3 web ", 1), someState + "x\n"} {
		if got, err := haproxy.Pulses(wrong, first); err == nil {
			t.Errorf("%q is read as %+v", wrong, got)
		}
	}
}
