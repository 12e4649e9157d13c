package agent

import "time"

// maxBackoff bounds the wait after errors.
const maxBackoff = 5 * time.Minute

// Backoff returns how long to wait after so many failures in a row, from 1 on:
// every, doubled each time, up to 5 minutes or every where that is longer. chance
// gives numbers from 0 to 1 (not included) and takes up to half of it off, so that
// agents which failed together do not come back together.
func Backoff(failures int, every time.Duration, chance func() float64) time.Duration {
	wait := every
	for range failures - 1 {
		if wait *= 2; wait >= maxBackoff {
			break
		}
	}
	wait = max(min(wait, maxBackoff), every)
	return wait - time.Duration(chance()*float64(wait)/2)
}

// Around returns every, give or take up to jitter.
func Around(every, jitter time.Duration, chance func() float64) time.Duration {
	return every + time.Duration((2*chance()-1)*float64(jitter))
}
