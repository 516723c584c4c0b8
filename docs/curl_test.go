package docs

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// fetch does what the documents ask of curl: a GET, with -s and -H.
func fetch(args []string, out *bytes.Buffer) error {
	request, err := http.NewRequest(http.MethodGet, args[len(args)-1], nil)
	if err != nil {
		return err
	}
	for i, arg := range args[:len(args)-1] {
		switch {
		case arg == "-s" || i > 0 && args[i-1] == "-H":
		case arg == "-H":
			name, value, _ := strings.Cut(args[i+1], ": ")
			if name == "Host" {
				request.Host = value
			} else {
				request.Header.Set(name, value)
			}
		default:
			return fmt.Errorf("this curl stands in for the real one and does not know %s", arg)
		}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = out.ReadFrom(answer.Body)
	return err
}

func TestCurlStandsIn(t *testing.T) {
	t.Parallel()
	origin := weirtest.NewOrigin(t, weirtest.Addr(t)+":0")
	var out bytes.Buffer
	if err := fetch([]string{"-s", "-H", "Host: www.example.com", "http://" + origin.Addr + "/x"}, &out); err != nil || out.Len() == 0 {
		t.Errorf("curl printed %q: %v", &out, err)
	}
	if seen := origin.Requests("/x"); len(seen) != 1 || seen[0].Host != "www.example.com" {
		t.Errorf("the origin saw %+v", seen)
	}
	if err := fetch([]string{"--proxy", "http://" + origin.Addr}, &out); err == nil {
		t.Error("a flag that is not known is taken")
	}
}
