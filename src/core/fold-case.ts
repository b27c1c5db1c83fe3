/** Folds case so that two spellings of one name compare equal: by way of upper case for ß and final sigma, from lower for ẞ. */
export const foldCase = (text: string): string =>
  text.toLowerCase().toUpperCase().toLowerCase().normalize('NFKC')

/** Folds case, and what is a letter in another form: of full width, in a ligature, in a circle (NFKC). */
export const foldForms = (text: string): string => foldCase(text.normalize('NFKC'))
