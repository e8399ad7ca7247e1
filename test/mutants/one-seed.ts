/** One seed for all properties: what fails with a mutant passed without it. */
import fc from 'fast-check'

// Nobody reads the smallest example.
fc.configureGlobal({ seed: Number(process.env.FC_SEED), endOnFailure: true })
