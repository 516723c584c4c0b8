package haproxy

import "fmt"

// The steps that PCRE may take to hold one regex against one value. Without a bound some take seconds (".*.*.*.*x"
// against a header of 400 bytes), all others on that thread wait, and HAProxy ends itself when it has waited too long:
// one owner's regex would take the load balancer from all. What takes more steps does not match.
const (
	regexSteps = 10_000
	// regexStepsOften is for those that are held against many parts of one value.
	regexStepsOften = 1000
)

// bounded writes a regex of somebody's so that it ends; CheckRegex lets none raise the bound, and PCRE would not.
func bounded(regex string) string { return boundedBy(regex, false) }

func boundedBy(regex string, often bool) string {
	steps := regexSteps
	if often {
		steps = regexStepsOften
	}
	return fmt.Sprintf("(*LIMIT_MATCH=%d)%s", steps, regex)
}
