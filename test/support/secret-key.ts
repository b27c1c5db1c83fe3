/** As an operator would set it. */
export const SECRET_KEY = 'Kq3vX8-0bT5nZ2rL7wY4mD9sF6hJ1cP_aGeUiOxQ'
