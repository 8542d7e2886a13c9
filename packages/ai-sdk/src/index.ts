/** What applications may use. */
export {};
