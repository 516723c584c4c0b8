package hapctl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"weir/internal/weirtest"
)

// Each answer of a batch belongs to its command, whatever others say.
func TestBatch(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		var cmds []Command
		const n = 1000
		for i := range n {
			switch i % 5 {
			case 0:
				cmds = append(cmds, command(t, "set weight b/s1 "+strconv.Itoa(i%256)))
			case 1:
				cmds = append(cmds, command(t, "set weight b/nope 1"))
			case 2:
				c, err := command(t, "add map maps/hosts").WithPayload(fmt.Sprintf("k%d v\n\n", i))
				if err != nil {
					t.Fatal(err)
				}
				cmds = append(cmds, c)
			case 3:
				cmds = append(cmds, command(t, "show info"))
			case 4:
				cmds = append(cmds, command(t, "frobnicate"))
			}
		}
		answers, err := l.c.DoAll(bounded(t), cmds...)
		if err == nil || len(answers) != n {
			t.Fatalf("%d answers, %v", len(answers), err)
		}
		var first *Refused
		if !errors.As(err, &first) || first.Index != 1 || !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("error = %.200v", err)
		}
		for i, a := range answers {
			good := map[int]bool{
				0: a.Text == "", 1: a.Text == "No such server.", 2: a.Text == "",
				3: strings.HasPrefix(a.Text, "Name: HAProxy"), 4: strings.HasPrefix(a.Text, "Unknown command"),
			}
			if !good[i%5] {
				t.Fatalf("answer %d to %q is %q", i, cmds[i], a.Text)
			}
		}
	})
}

func TestTooLargeCommandLeavesNoTrace(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		big, err := command(t, "add map maps/hosts").WithPayload("k " + strings.Repeat("v", MaxCommand))
		if err != nil {
			t.Fatal(err)
		}
		var large *TooLargeError
		if _, err := l.c.DoAll(bounded(t), command(t, "set weight b/s1 99"), big); !errors.As(err, &large) {
			t.Errorf("error = %v", err)
		}
		if w := l.server("b", "s1").Weight; w != 7 {
			t.Errorf("weight = %d: the batch was half sent", w)
		}
	})
}

func TestClientsDontMix(t *testing.T) {
	t.Parallel()
	l := startLab(t, weirtest.HAProxies(t)[0], twoServers)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				key := fmt.Sprintf("k%d-%d", i, j)
				answers, err := l.c.DoAll(t.Context(), command(t, "add map maps/hosts "+key+" v"), command(t, "get map maps/hosts "+key))
				if err != nil || !strings.Contains(answers[1].Text, `key="`+key+`"`) {
					t.Errorf("%s: %v, %v", key, answers, err)
				}
			}
		})
	}
	wg.Wait()
}
